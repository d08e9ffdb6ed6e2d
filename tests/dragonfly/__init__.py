"""DragonflyDB's command set: which tests run, besides on their own kinds of server, on a Valkey for a user
who may only run what DragonflyDB documents (commands.txt). `--servers=dragonfly` runs all tests so.

One of each part: what is published, carried out, tried again and trimmed; cached, invalidated and evicted;
tenants, quotas, usage, sessions and spill; archive, replay, checkpoint and purge.
"""

_CHOSEN = {
    "streams/test_outcomes.py": (
        "test_done",
        "test_returned_value",
        "test_retry_counts_attempts_and_ends",
        "test_dead_and_skip",
    ),
    "streams/test_delays.py": ("test_the_past_is_now",),
    "streams/test_upkeep.py": (
        "test_what_is_finished_goes_after_the_window",
        "test_a_stream_over_its_bytes_loses_its_oldest",
        "test_a_lost_group_goes_on_where_it_was",
    ),
    "cache/test_values.py": (
        "test_many_in_one_go",
        "test_touch_gives_a_new_time_to_live",
    ),
    "cache/test_invalidation.py": ("test_tags", "test_a_namespace_goes_at_once"),
    "cache/test_caps.py": (
        "test_what_gives_way_keeps_a_tenant_under_its_cap",
        "test_garbage_counts_and_goes_first",
    ),
    "tenants/test_registry.py": ("test_created_shown_changed_and_closed",),
    "quotas/test_checking.py": ("test_all_of_it_is_taken_or_nothing",),
    "usage/test_counting.py": ("test_sums",),
    "sessions/test_sessions.py": ("test_the_life_of_a_session", "test_they_are_listed_by_tenant_and_by_user"),
    "sessions/test_spill.py": ("test_they_are_spilled_and_come_back_as_they_were",),
    "state/test_archive.py": ("test_everything_is_copied_once_and_in_order",),
    "state/test_replay.py": ("test_a_replayed_command_is_the_same_command",),
    "checkpoints/test_restoring.py": ("test_what_was_pending_is_counted_once",),
    "purge/test_purging.py": ("test_usage_that_comes_meanwhile_is_dropped_and_counted",),
}

#: Their ids.
SPINE = frozenset(f"tests/integration/{file}::{name}" for file, names in _CHOSEN.items() for name in names)
