# SPDX-License-Identifier: LGPL-2.1-or-later
"""Drivers built out of tree: against what is installed, and loaded from driver_dir."""

import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from iotd_harness import PATIENCE, ROOT, configuration, file_sensor, program, replace_file, run_iotd

NOWHERE = "mqtt://127.0.0.1:1"
EXAMPLE = ROOT / "tests/examples/driver"
EXPORTS = ROOT / "src/iotd.exports"

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="drivers must be root's")


def run(*command, **more):
    done = subprocess.run(
        [str(word) for word in command],
        capture_output=True,
        encoding="utf-8",
        timeout=6 * PATIENCE,
        check=False,
        **more,
    )
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


def only(paths):
    (path,) = paths
    return path


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The environment of a person who has iotd's headers, installed below a folder of its own."""
    root = tmp_path_factory.mktemp("root")
    build = Path(program()[-1]).parents[1]
    run("meson", "install", "-C", build, "--no-rebuild", "--quiet", "--destdir", root)
    found = only(root.rglob("iotd.pc"))
    return {
        **os.environ,
        "PKG_CONFIG_LIBDIR": str(found.parent),
        "PKG_CONFIG_SYSROOT_DIR": str(root),
        "PKG_CONFIG_ALLOW_SYSTEM_CFLAGS": "1",
        "IOTD_TEST_INCLUDE": str(only(root.rglob("iotd/driver.h")).parents[1]),
    }


@pytest.fixture(scope="module")
def anemometer(installed, tmp_path_factory):
    """The example, built by its own Makefile far from the tree."""
    folder = tmp_path_factory.mktemp("example")
    for name in ("anemometer.c", "Makefile"):
        shutil.copy(EXAMPLE / name, folder)
    run("make", "-C", folder, "CFLAGS=-O2 -Wall -Wextra -Werror", env=installed)
    return folder / "anemometer.so"


@pytest.fixture
def drivers(tmp_path, anemometer):
    """A driver_dir with the example in it."""
    folder = tmp_path / "drivers"
    folder.mkdir(mode=0o755)
    shutil.copy(anemometer, folder)
    (folder / "anemometer.so").chmod(0o644)
    return folder


@pytest.fixture
def wind(tmp_path):
    path = tmp_path / "wind"
    path.write_text("3.4 270\n", encoding="ascii")
    return path


def sensor(path, **more):
    return {"name": "roof", "driver": "anemometer", "path": str(path), **more}


@pytest.fixture
def config(tmp_path, drivers):
    """Write a configuration with that driver_dir: config(sensors=…)."""

    def write(**sections):
        path = tmp_path / "iotd.conf"
        sections.setdefault("driver_dir", str(drivers))
        path.write_text(configuration(NOWHERE, **sections), encoding="utf-8")
        return path

    return write


def test_the_example_is_short(anemometer):
    lines = (EXAMPLE / "anemometer.c").read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 90, "it is there to be read"


def test_list_drivers_shows_it_behind_the_others(config):
    done = run_iotd("--list-drivers", "-c", config())
    assert (done.returncode, done.stderr) == (0, "")
    last = done.stdout.splitlines()[-1]
    assert re.fullmatch(r"anemometer +file +speed \(m/s\), direction \(°\)", last), last


@pytest.mark.parametrize("options", [[], ["--simulate"]], ids=["real", "simulated"])
def test_once_reads_it(config, wind, options):
    done = run_iotd("-c", config(sensors=[sensor(wind, factor=2.0)]), "--once", *options)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "roof.speed 6.8 m/s\nroof.direction 270 °\n"


def test_the_daemon_publishes_it(start_iotd, client, broker, drivers, wind):
    start_iotd(
        configuration(broker.url, driver_dir=str(drivers), sensors=[sensor(wind, interval="200ms")])
    )
    assert client.wait("sensor/roof").json["speed"] == 3.4
    wind.write_text("5.5 90\n", encoding="ascii")
    client.wait("sensor/roof", match=lambda message: message.json["speed"] == 5.5)


def test_what_the_driver_says_of_a_failure_is_told(config, wind):
    wind.write_text("calm\n", encoding="ascii")
    done = run_iotd("-c", config(sensors=[sensor(wind)]), "--once")
    assert done.returncode == 1
    assert f'{wind}: is not "SPEED DIRECTION"' in done.stderr


def test_its_options_are_checked_like_any_others(config, wind):
    done = run_iotd("-c", config(sensors=[sensor(wind, factr=2.0)]), "--check")
    assert done.returncode == 78
    assert 'sensors[0].factr: unknown key (did you mean "factor"?)' in done.stderr
    done = run_iotd("-c", config(sensors=[sensor(wind, factor=20.0)]), "--check")
    assert done.returncode == 78 and "sensors[0].factor: " in done.stderr


def test_a_sensor_whose_driver_was_refused_is_a_fault_that_says_why(config, drivers, wind):
    (drivers / "anemometer.so").chmod(0o666)
    done = run_iotd("-c", config(sensors=[sensor(wind)]), "--check")
    assert done.returncode == 78
    why = f"{drivers}/anemometer.so: can be written by its group or by others"
    assert f'sensors[0].driver: "anemometer" is no driver: {why}' in done.stderr


@pytest.mark.parametrize("mode", ["--check", "--once", "--list-drivers"])
def test_a_broken_file_is_told_and_the_rest_goes_on(config, drivers, wind, value_file, mode):
    (drivers / "broken.so").write_text("no library\n", encoding="ascii")
    path = config(sensors=[sensor(wind), file_sensor(value_file)])
    done = run_iotd("-c", path, mode)
    assert done.returncode == 0
    assert f"{drivers}/broken.so: " in done.stderr and len(done.stderr.splitlines()) == 1
    assert "/proc/self" not in done.stderr


def test_a_folder_that_is_not_there_is_told(config, value_file, tmp_path):
    path = config(driver_dir=str(tmp_path / "none"), sensors=[file_sensor(value_file)])
    done = run_iotd("-c", path, "--check")
    assert done.returncode == 0
    assert done.stderr == (
        f"driver_dir: {tmp_path}/none: cannot be opened: No such file or directory\n"
    )


def test_a_reload_keeps_the_drivers_and_says_that_a_change_needs_a_restart(
    start_iotd, broker, drivers, wind, tmp_path
):
    sections = {"sensors": [sensor(wind)]}
    daemon = start_iotd(configuration(broker.url, driver_dir=str(drivers), **sections))
    other = tmp_path / "other"
    other.mkdir()
    replace_file(daemon.config, configuration(broker.url, driver_dir=str(other), **sections))
    daemon.signal(signal.SIGHUP)
    daemon.log.wait(lambda line: "a change of driver_dir needs a restart" in line.text)
    daemon.log.wait(lambda line: "1 devices kept, 0 stopped, 0 started" in line.text)


# --- What is installed ----------------------------------------------------------------------------


def exported():
    return sorted(re.findall(r"^\t(\w+);$", EXPORTS.read_text(encoding="ascii"), re.MULTILINE))


def headers(installed):
    return sorted(path.name for path in Path(installed["IOTD_TEST_INCLUDE"], "iotd").iterdir())


def test_each_header_compiles_alone(installed, tmp_path):
    for name in headers(installed):
        source = tmp_path / "one.c"
        source.write_text(f'#include "iotd/{name}"\nint one;\n', encoding="ascii")
        flags = run("pkg-config", "--cflags", "iotd", env=installed).split()
        run("gcc", "-std=gnu17", "-Wall", "-Wextra", "-Werror", *flags, "-c", source, "-o",
            tmp_path / "one.o")


def test_what_the_headers_declare_is_what_iotd_exports(installed):
    declared = set()
    for name in headers(installed):
        text = Path(installed["IOTD_TEST_INCLUDE"], "iotd", name).read_text(encoding="utf-8")
        code = re.sub(r"/\*.*?\*/|^#.*?(?<!\\)$", "", text, flags=re.DOTALL | re.MULTILINE)
        declared |= set(re.findall(r"^(?!static)[a-z][\w ]*[ *](\w+)\(", code, re.MULTILINE))
    assert sorted(declared) == exported()


def test_iotd_has_every_function_that_it_promises_and_shows_no_other(installed, drivers, config):
    calls = drivers / "calls.c"
    calls.write_text(
        "".join(f'#include "iotd/{name}"\n' for name in headers(installed))
        + "extern const void *const calls[];\nconst void *const calls[] = {"
        + ", ".join(f"(const void *){name}" for name in exported())
        + "};\n",
        encoding="ascii",
    )
    flags = run("pkg-config", "--cflags", "iotd", env=installed).split()
    run("gcc", "-std=gnu17", *flags, "-fPIC", "-shared", calls, "-o", drivers / "calls.so")
    done = run_iotd("--list-drivers", "-c", config())
    assert "calls.so: is no driver of iotd" in done.stderr, "it was loaded, with all its symbols"
    shown = run("nm", "-D", "--defined-only", program()[-1]).split("\n")
    ours = {line.split()[-1] for line in shown if line} & all_functions()
    assert sorted(ours) == exported()


def all_functions():
    """What any header of iotd declares."""
    text = "".join(
        path.read_text(encoding="utf-8") for path in (ROOT / "include/iotd").glob("*.h")
    )
    return set(re.findall(r"^[a-z][\w ]*[ *](\w+)\(", text, re.MULTILINE))


def test_iotd_pc_says_where_drivers_go(installed):
    # without the folder of the installation, which pkg-config puts before it
    told = run("pkg-config", "--variable=driverdir", "iotd", env=installed).strip()
    assert told.endswith("/usr/lib/iotd/drivers")
