//! The send path as a promise: the real program against a sandbox in another process, killed,
//! stopped, throttled and lied to. The sandbox's record is the oracle; what the program says of
//! itself is only compared with it.

mod answered;
mod books;
mod caps;
mod control;
mod crash;
mod crash_points;
mod faults;
mod fencing;
mod hearing;
mod hooks;
mod hue;
mod keys;
mod lines;
mod once;
mod pace;
mod rate;
mod receipts;
mod replies;
mod soak;
mod soak_of_many;
mod stop;
mod stream;
mod uploads;
mod waits;
mod work;

use std::collections::HashMap;

use self::hue::{
    allowance as hue_allowance, crash_points as hue_crash_points, doubt as hue_doubt,
    once as hue_once, soak as hue_soak, soak_of_processes as hue_soak_of_processes,
};
use self::work::{leaving, together};
use crate::support::{Journal, Request};

/// Makes one test of each check on each database. Those by the clock say how much of a time was
/// used: `tests/run` leaves them the machine.
macro_rules! on_both {
    (by_the_clock: $($area:ident::{$($check:ident),+ $(,)?})+) => {
        on_both! { by_the_clock_on_sqlite, Sqlite: $($area::{$($check),+})+ }
        on_both! { by_the_clock_on_postgres, Postgres: $($area::{$($check),+})+ }
    };
    ($($area:ident::{$($check:ident),+ $(,)?})+) => {
        on_both! { on_sqlite, Sqlite: $($area::{$($check),+})+ }
        on_both! { on_postgres, Postgres: $($area::{$($check),+})+ }
    };
    ($module:ident, $on:ident: $($area:ident::{$($check:ident),+})+) => {
        mod $module {
            $($(
                #[tokio::test(flavor = "multi_thread")]
                async fn $check() {
                    super::$area::$check(crate::support::On::$on).await;
                }
            )+)+
        }
    };
}

on_both! {
    once::{
        a_run_sends_everybody_once_and_says_so,
        a_rehearsal_sends_everybody_once_and_touches_nothing_live,
        a_limit_sends_so_many_and_leaves_the_rest_for_later,
        only_one_person_first_and_then_the_others,
        a_run_stays_as_it_was_frozen_whatever_becomes_of_its_files,
        a_run_stays_with_the_account_that_it_was_frozen_for,
        a_gateway_that_became_another_account_is_refused,
        files_that_are_as_they_were_are_not_called_changed,
        the_files_of_a_run_may_be_gone_when_it_is_resumed,
        somebody_known_is_written_to_in_their_chat_and_from_their_line,
    }
    control::{
        a_pause_takes_effect_soon_and_a_resume_goes_on,
        a_cancelled_delivery_is_never_sent,
        a_cancelled_run_leaves_no_delivery_open,
        two_processes_share_a_run,
        processes_that_start_the_same_run_at_once_share_it_and_its_new_ledger,
        the_one_that_is_killed_does_not_hold_up_the_other,
    }
    crash::{
        messages_accepted_but_unrecorded_at_the_kill_are_not_sent_twice,
        a_request_that_outlives_its_killed_process_is_joined_not_repeated,
        a_run_killed_at_any_count_goes_on_where_it_was,
    }
    crash_points::{
        a_kill_in_any_window_leaves_what_is_said_of_it_and_resume_mends_it,
        a_crowd_killed_three_times_in_the_same_window_gets_it_once_each,
    }
    faults::{
        refused_before_it_was_taken_it_is_tried_again,
        taken_but_not_answered_for_it_is_asked_for_again_and_received_once,
        slower_than_the_timeout_it_is_asked_for_again_and_received_once,
        a_throttled_account_is_silent_until_the_wait_is_over,
        a_busy_line_waits_and_the_other_goes_on,
        attempts_used_up_end_as_failed_in_the_providers_words,
        a_definite_no_is_not_repeated,
        unanswered_to_the_end_is_uncertain_whether_it_was_taken_or_not,
        refusals_after_a_lost_answer_do_not_make_it_failed,
        faults_of_all_kinds_at_once_leave_everybody_with_one_message,
        refused_credentials_halt_the_run_and_a_resume_finishes_it,
    }
    fencing::{
        an_attempt_that_comes_back_after_a_takeover_is_late_and_changes_nothing,
        wherever_it_stood_still_one_that_was_taken_over_does_no_harm,
        one_that_was_stopped_past_its_lease_sends_nothing_more_of_what_it_had,
        two_processes_both_send_and_neither_sends_what_the_other_has,
    }
    hue_once::{
        a_new_person_costs_two_requests_and_a_known_one_costs_one,
        free_text_goes_only_to_people_who_have_written_within_a_day,
        by_instagram_only_those_are_answered_who_have_written,
        a_template_fault_stops_the_run_before_a_second_person_meets_it,
    }
    hue_doubt::{
        what_got_no_answer_is_looked_for_after_a_minute_and_only_then_sent_again,
        what_nothing_can_tell_waits_for_a_person_unless_the_campaign_accepts_it_twice,
        a_request_that_waited_for_the_wire_is_given_its_whole_minute,
        a_message_is_looked_for_with_the_contact_that_it_was_sent_to,
        a_contact_that_gets_no_answer_is_asked_for_until_the_tries_are_used_up,
        a_wait_that_a_look_is_asked_for_holds_everybody,
    }
    hue_soak::{
        nobody_gets_it_twice_without_keys_whatever_the_kills_and_faults,
    }
    hue_crash_points::{
        a_kill_in_any_window_is_settled_by_evidence_after_a_minute,
        a_kill_while_it_is_looked_for_changes_nothing_about_the_answer,
        a_crowd_killed_twice_in_the_same_window_gets_it_once_each,
    }
    hue_soak_of_processes::{
        whatever_the_kills_and_faults_everybody_is_accounted_for_and_nobody_gets_it_twice,
    }
    keys::{
        a_first_message_with_an_old_key_is_left_to_a_person,
        a_follow_up_with_an_old_key_is_found_in_its_chat,
        a_follow_up_that_its_chat_does_not_show_is_left_to_a_person,
        tries_that_are_used_up_without_an_answer_are_settled_by_the_chat,
    }
    lines::{
        the_people_of_a_line_that_goes_inactive_are_held_until_it_is_back,
        a_run_killed_while_a_line_is_inactive_goes_on_without_it,
        with_all_lines_inactive_nothing_fails_and_nothing_is_sent,
        a_line_that_is_inactive_at_the_start_is_refused_with_the_good_ones,
        a_lines_first_messages_are_counted_across_runs_and_restarts_and_follow_ups_are_not,
    }
    receipts::{
        what_was_delivered_and_read_is_known_after_a_sync,
        a_rehearsal_and_a_refusal_are_said_politely,
        a_run_that_tracks_ends_when_all_is_known,
        tracking_ends_with_its_time_or_a_signal_and_the_true_exit_code,
    }
    replies::{
        a_stop_from_before_the_run_is_heard_before_the_first_message,
        nothing_leaves_to_whoever_says_stop_while_others_are_written_to,
        the_newest_word_counts_and_is_kept_once_however_it_is_told,
        nothing_is_sent_while_answers_cannot_be_read,
        a_sync_hears_what_was_said_after_the_run,
    }
    stop::{
        one_signal_finishes_what_is_on_the_wire_and_exits_4,
        a_second_signal_gives_up_the_wire_at_once_and_resume_mends_it,
        a_run_that_waits_for_the_provider_stops_at_once,
        a_run_that_waits_for_what_people_answered_stops_at_once,
    }
    answered::{
        soon_after_a_stop_nothing_leaves_any_more_however_fast_the_campaign_is,
        a_stop_told_by_a_stream_that_breaks_in_the_middle_of_it_is_heard_all_the_same,
    }
    stream::{
        what_was_begun_and_is_not_on_the_wire_is_taken_back_by_a_stop,
        answers_count_once_in_whatever_order_and_by_whichever_ear,
        a_stream_that_ends_is_opened_again_from_where_it_was_and_the_log_is_read,
        without_a_stream_or_with_one_that_says_nothing_the_log_is_enough,
        a_wait_that_the_log_is_read_with_holds_everybody,
        a_stream_does_not_hold_up_a_stop_of_the_process,
        the_parts_of_a_process_share_one_listener_until_the_last_has_left,
    }
    uploads::{
        a_picture_is_uploaded_once_however_many_people_get_it,
        a_picture_that_the_provider_has_lost_is_uploaded_anew_under_a_new_key,
        a_picture_lost_after_a_lost_answer_never_means_a_second_message,
        a_picture_lost_for_many_at_once_is_uploaded_again_once,
        an_upload_that_fails_is_tried_again_and_costs_nobody_the_message,
        a_kill_during_the_uploads_costs_an_upload_at_most,
    }
    hooks::{
        a_stop_through_the_receiver_holds_for_a_run_of_another_process,
        an_event_outlives_a_kill_in_either_window,
        what_was_answered_with_200_is_there_after_a_kill,
        what_the_provider_tells_of_a_run_is_known_without_asking,
    }
    leaving::{
        the_first_signal_finishes_the_wire_and_exits_0,
        the_second_signal_gives_it_up_and_exits_4,
        one_that_is_not_to_wait_leaves_when_nothing_is_due,
    }
    together::{
        workers_share_a_run,
        a_worker_that_is_killed_leaves_its_part_to_the_other,
        a_worker_serves_two_runs_within_its_concurrency,
        runs_are_joined_by_their_names,
        a_run_that_is_paused_is_left_and_joined_again,
    }
}

on_both! { by_the_clock:
    hue_allowance::{
        the_plan_is_used_up_to_more_than_97_of_100_and_never_refused,
        the_days_requests_end_at_their_number_and_go_on_at_midnight,
    }
    pace::{
        a_rate_is_kept_in_every_second_and_used_up,
        a_gateways_rate_holds_across_kills_and_processes,
        each_line_keeps_its_own_rate_and_both_are_used,
    }
    rate::{
        one_process_uses_the_whole_rate_and_no_more,
        four_processes_use_the_whole_rate_and_no_more,
        four_processes_keep_each_lines_rate_and_use_both,
        a_kill_of_all_costs_no_more_than_what_was_reserved,
        processes_that_stood_still_do_not_make_up_for_it,
        a_wait_for_all_is_kept_by_all_and_followed_by_no_burst,
    }
    waits::{
        a_wait_that_one_process_is_told_holds_what_another_has_claimed,
    }
}

/// The posts of each key, in the order of their arrival.
fn by_key(journal: &Journal) -> HashMap<String, Vec<&Request>> {
    let mut keys: HashMap<String, Vec<&Request>> = HashMap::new();
    for post in journal.posts() {
        let key = post.key.clone().unwrap_or_default();
        keys.entry(key).or_default().push(post);
    }
    keys
}

/// Nothing can be killed at a crash point that is not there; and a test that kills nobody must
/// not pass.
#[expect(
    clippy::assertions_on_constants,
    reason = "the build decides it, the test must say it"
)]
fn assert_armed() {
    assert!(
        cfg!(feature = "crash-points"),
        "the program was built without crash points: run the tests with `--all-features`, or \
         with `--features crash-points`"
    );
}
