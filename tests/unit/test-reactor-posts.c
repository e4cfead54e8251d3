/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Posts of other threads. */
#include <check.h>
#include <pthread.h>
#include <string.h>

#include "reactor-probe.h"
#include "test-reactor.h"

#include "iotd/base.h"

enum {
	POSTERS = 8,
	POSTS = 5000
};

static struct poster {
	pthread_t thread;
	struct numbered {
		struct reactor_post post;
		struct poster *poster;
		int number;
	} posts[POSTS];
	int next;
} posters[POSTERS];

static int posts_missing;

static void count_post(struct reactor_post *post)
{
	struct numbered *numbered = container_of(post, struct numbered, post);

	ck_assert_int_eq(numbered->number, numbered->poster->next++);
	if (--posts_missing == 0)
		finish(0);
}

static void *poster_main(void *argument)
{
	struct poster *poster = argument;

	for (int i = 0; i < POSTS; i++) {
		poster->posts[i] = (struct numbered){ { .run = count_post }, poster, i };
		reactor_post(reactor, &poster->posts[i].post);
	}
	return NULL;
}

START_TEST(posts_of_many_threads_all_run_and_each_in_its_order)
{
	memset(posters, 0, sizeof(posters));
	posts_missing = POSTERS * POSTS;
	for (int i = 0; i < POSTERS; i++)
		ck_assert_int_eq(pthread_create(&posters[i].thread, NULL, poster_main, &posters[i]),
				 0);
	ck_assert_int_eq(run(), 0);
	for (int i = 0; i < POSTERS; i++) {
		ck_assert_int_eq(pthread_join(posters[i].thread, NULL), 0);
		ck_assert_int_eq(posters[i].next, POSTS);
	}
}
END_TEST

static void act_post_again(struct probe *probe)
{
	if (probe->count < 100)
		reactor_post(reactor, &probe->post);
	trace_length = 0;
}

START_TEST(post_may_be_posted_again_when_it_ran_and_starves_nobody)
{
	struct probe post = probe_make('p', act_post_again),
		     timer = probe_make('t', act_note_calls);

	timer.other = &post;
	reactor_hold(reactor); /* the virtual clock does not know of posts on their way */
	set(&timer, 0);
	reactor_post(reactor, &post.post);
	reactor_release(reactor);
	run_until_idle();
	ck_assert_int_eq(post.count, 100);
	ck_assert_uint_le(timer.events, 2);
}
END_TEST

static pthread_barrier_t barrier;

static void act_meet(struct probe *probe)
{
	(void)probe;
	(void)pthread_barrier_wait(&barrier);
}

static void act_release(struct probe *probe)
{
	(void)probe;
	reactor_release(reactor);
}

static void *post_after_meeting(void *argument)
{
	(void)pthread_barrier_wait(&barrier);
	reactor_post(reactor, argument);
	return NULL;
}

START_TEST(virtual_clock_waits_while_it_is_held)
{
	struct probe meet = probe_make('m', act_meet), post = probe_make('p', act_release),
		     timer = probe_make('t', NULL);
	pthread_t thread;

	ck_assert_int_eq(pthread_barrier_init(&barrier, NULL, 2), 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, post_after_meeting, &post.post), 0);
	set(&timer, 100);
	reactor_hold(reactor);
	reactor_defer(reactor, &meet.call);
	run_until_idle();
	ck_assert_str_eq(trace, "mpt");
	ck_assert_int_eq(post.at_us, 0);
	ck_assert_int_eq(timer.at_us, 100);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
}
END_TEST

START_TEST(post_wakes_a_sleeping_reactor)
{
	struct probe meet = probe_make('m', act_meet), post = probe_make('p', act_finish),
		     timer = probe_make('t', NULL);
	pthread_t thread;

	ck_assert_int_eq(pthread_barrier_init(&barrier, NULL, 2), 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, post_after_meeting, &post.post), 0);
	set(&timer, reactor_now(reactor) + HOUR_US);
	reactor_defer(reactor, &meet.call);
	ck_assert_int_eq(run(), 0);
	ck_assert_str_eq(trace, "mp");
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
}
END_TEST

TCase *post_cases(void)
{
	TCase *cases = tcase_create("posts");

	tcase_add_checked_fixture(cases, setup_virtual, teardown);
	tcase_set_timeout(cases, 60);
	tcase_add_test(cases, post_may_be_posted_again_when_it_ran_and_starves_nobody);
	tcase_add_test(cases, virtual_clock_waits_while_it_is_held);
	return cases;
}

TCase *real_post_cases(void)
{
	TCase *cases = tcase_create("posts on the kernel's clock");

	tcase_add_checked_fixture(cases, setup_real, teardown);
	tcase_set_timeout(cases, 60);
	tcase_add_test(cases, posts_of_many_threads_all_run_and_each_in_its_order);
	tcase_add_test(cases, post_wakes_a_sleeping_reactor);
	return cases;
}
