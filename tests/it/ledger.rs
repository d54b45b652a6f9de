//! What every ledger promises, checked against the trait alone. A database is added by one
//! `Store` and one line below; what only its files can show stands in a module of its own.

mod answering;
mod bench;
mod capping;
mod claiming;
mod cluster;
mod copying;
mod damage;
mod doubts;
mod freezing;
mod gating;
mod keeping;
mod looking;
mod model;
mod operating;
mod opting_out;
mod owning;
mod pacing;
mod placing;
mod postgres_clocks;
mod postgres_crashes;
mod postgres_opt_outs;
mod postgres_place;
mod postgres_words;
mod proving;
mod proxy;
mod racing;
mod receipts;
mod receiving;
mod runs;
mod sending;
mod settling;
mod sqlite_files;
mod sqlite_place;
mod stepping;
mod store;
mod walks;

/// Makes one test of each check, on one store.
macro_rules! checks {
    ($store:ty: $($area:ident::{$($check:ident),+ $(,)?})+) => {
        $($(
            #[tokio::test]
            async fn $check() {
                super::$area::$check(&<$store>::default()).await;
            }
        )+)+
    };
}

/// The whole suite on one store.
macro_rules! conformance {
    ($module:ident, $store:ty) => {
        mod $module {
            checks! { $store:
                freezing::{
                    a_sealed_run_has_every_row,
                    a_freeze_that_is_dropped_or_discarded_leaves_nothing,
                    a_freeze_that_failed_cannot_be_sealed,
                    a_run_exists_once,
                    a_second_row_for_a_phone_or_key_is_a_duplicate_of_the_first,
                    duplicates_are_found_across_long_lists,
                    a_skipped_row_stands_in_nobodys_way,
                    a_key_that_reads_like_anothers_phone_is_the_same_key,
                    known_people_are_told_with_their_chat_and_line,
                    media_is_kept_once_and_comes_back_whole,
                }
                claiming::{
                    a_claim_never_takes_more_than_it_asks_for,
                    lines_with_limits_of_their_own_do_not_add_up_past_the_claim,
                    nothing_is_claimed_before_it_is_due,
                    a_busy_line_never_hides_others,
                    unanswered_attempts_of_a_held_line_do_not_hide_others,
                    unanswered_attempts_come_first_and_say_since_when,
                    gates_are_respected_and_only_ever_extended,
                    a_gate_does_not_keep_a_finished_run_open,
                    admission_moves_rows,
                    only_a_running_run_gives_anything,
                    the_next_look_is_when_something_can_be_had,
                }
                capping::{
                    a_used_up_cap_leaves_the_list_as_it_is,
                    a_ramp_counts_the_days_on_which_somebody_was_written_to,
                    what_was_begun_before_is_under_no_cap,
                    all_runs_of_a_campaign_share_its_cap,
                    who_came_too_late_is_held_until_the_next_day,
                    what_could_not_begin_is_not_counted,
                    a_lines_first_messages_stand_apart,
                    known_people_use_no_first_touch,
                    room_is_left_for_what_is_in_hand,
                    one_person_alone_waits_for_the_cap,
                    a_day_is_that_of_its_zone,
                    the_outlook_waits_for_the_caps,
                    no_day_has_more_than_its_cap_whoever_sends,
                }
                pacing::{
                    slots_never_exceed_any_limit,
                    no_slot_lies_past_the_horizon,
                    one_that_always_asks_first_leaves_slots_to_another,
                }
                sending::{
                    begin_is_fenced_by_attempt,
                    two_begins_in_one_group_begin_once,
                    a_claim_that_another_took_over_cannot_begin,
                    what_was_cancelled_or_paused_cannot_begin,
                    a_pause_between_claim_and_begin_gives_the_claim_back,
                    changes_of_one_delivery_happen_in_the_order_of_the_group,
                    an_outcome_counts_only_for_its_own_attempt,
                    a_late_outcome_is_kept_and_changes_nothing,
                    a_known_outcome_is_never_overwritten,
                    a_lost_attempt_is_kept,
                    a_stale_begin_loses_nobodys_attempt,
                }
                gating::{
                    an_attempt_does_not_begin_at_a_closed_gate,
                    a_gate_holds_a_doubt_without_ending_it,
                    a_recipients_gate_holds_that_person_in_every_run,
                    an_inactive_line_is_held_past_its_wait_until_it_is_let_go,
                    the_look_at_an_inactive_line_is_one_processes_at_a_time,
                    a_line_that_is_back_early_is_sent_from_at_once,
                    whoever_waits_for_an_inactive_line_is_counted_as_held,
                }
                doubts::{
                    the_doubt_about_an_attempt_ends_once,
                    a_doubt_is_as_old_as_its_first_attempt,
                    what_has_begun_is_not_given_back,
                }
                settling::{
                    an_unanswered_attempt_stays_on_the_wire_and_comes_back,
                    a_body_that_changes_raises_the_revision,
                    what_was_fixed_comes_back_to_the_letter,
                    sent_remembers_the_chat_and_the_first_line_stays,
                    a_release_burns_no_attempt,
                    a_release_leaves_it_as_it_was,
                    only_the_holder_can_give_back,
                    cancelling_stops_what_is_not_on_the_wire,
                    nothing_stays_open_in_a_cancelled_run,
                }
                looking::{
                    a_pause_that_a_look_is_asked_for_closes_the_account,
                    looks_keep_the_accounts_rate_in_the_ledger,
                    what_the_provider_says_of_each_is_in_the_books,
                    a_failure_that_everybody_would_meet_halts_the_run_however_late_it_is_told,
                    a_failure_from_before_the_run_was_resumed_does_not_halt_it_again,
                }
                receipts::{
                    a_look_that_is_due_is_given_once_and_comes_back_later,
                    a_receipt_only_goes_forward,
                    a_receipt_of_another_message_changes_nothing,
                    looks_take_only_slots_that_messages_leave_free,
                    looks_wait_while_the_whole_account_has_to,
                    what_fails_after_it_was_taken_is_told_and_proved,
                    what_failed_later_is_put_back_only_when_that_is_asked_for,
                    what_nobody_confirmed_until_the_deadline_is_a_count,
                }
                runs::{
                    a_run_finishes_only_when_nothing_is_open,
                    the_state_follows_its_machine,
                    the_record_that_a_change_returns_is_the_one_kept,
                    runs_are_listed_newest_first_with_their_counts,
                    facts_add_up,
                    deliveries_are_read_page_by_page,
                    rehearsals_count_up,
                    uploads_are_remembered_until_forgotten,
                    schedules_begin_when_first_seen_and_move_on,
                    missed_occurrences_belong_to_their_campaign_alone,
                    what_was_committed_is_read_at_once,
                    reopening_keeps_everything,
                }
                owning::{
                    a_lease_excludes_others_until_it_ends,
                    leases_end_when_their_owner_retires,
                    leases_end_when_their_owner_is_gone,
                    a_living_owner_is_not_buried,
                    an_owner_that_lived_long_leaves_its_leases_too,
                    a_name_used_again_inherits_no_lease,
                    two_living_owners_have_two_names,
                    a_lease_that_is_renewed_lasts_longer_and_only_its_owners,
                    workers_are_told_with_all_their_runs,
                    only_running_runs_are_running,
                }
                racing::{
                    each_attempt_is_begun_by_exactly_one,
                    a_run_is_frozen_by_exactly_one,
                    a_fresh_ledger_is_opened_by_many_at_once,
                }
                operating::{
                    a_retry_puts_back_what_failed_and_nothing_else,
                    a_revised_retry_has_a_new_key_and_a_new_request,
                    a_retry_by_code_leaves_the_others,
                    a_long_list_is_put_back_as_a_whole,
                    nothing_of_a_cancelled_run_is_put_back,
                    an_uncertain_delivery_is_settled_by_a_persons_word,
                    a_person_is_found_by_phone_key_or_row,
                    a_history_tells_everything_in_order,
                    the_first_of_a_state_are_listed,
                    the_outlook_tells_who_is_there_and_what_is_next,
                }
                keeping::{
                    an_event_is_kept_once_whoever_is_told,
                    an_event_waits_until_it_is_handled,
                    a_clock_that_was_set_back_hides_no_event,
                    what_was_handled_long_ago_is_taken_out,
                    a_message_names_its_delivery,
                }
                receiving::{
                    only_what_the_provider_signed_is_taken,
                    what_is_too_long_or_no_event_is_refused,
                    an_old_first_delivery_is_refused_and_a_late_retry_is_not,
                    a_status_never_goes_back_in_whatever_order_it_is_told,
                    a_failure_is_kept_with_the_platforms_code,
                    stop_is_obeyed_before_the_next_message_is_begun,
                    an_answer_of_a_contact_is_the_persons_behind_it,
                    an_event_that_comes_before_its_message_waits_for_it,
                    what_was_kept_and_not_handled_is_handled_after_a_restart,
                    what_cannot_be_kept_is_not_answered_with_200,
                    a_receiver_that_is_told_to_end_waits_for_nobody_for_long,
                }
                answering::{
                    an_answer_is_kept_once_and_with_its_run,
                    an_answer_to_what_is_on_the_wire_belongs_to_it,
                    unclear_answers_wait_for_a_person,
                    how_far_answers_were_read_is_known_and_never_goes_back,
                    the_last_answer_over_a_channel_is_known,
                    an_import_only_adds,
                    only_the_person_takes_back_what_the_person_said,
                    an_operators_word_stands_beside_the_persons,
                    the_list_is_read_page_by_page,
                    the_newest_word_counts_in_whatever_order_they_arrive,
                    a_start_from_the_future_silences_no_stop,
                }
                opting_out::{
                    a_claim_leaves_out_who_has_opted_out,
                    an_attempt_does_not_begin_after_an_opt_out,
                    a_closed_gate_does_not_hide_an_opt_out,
                    what_is_on_the_wire_is_settled_as_always,
                    a_stale_begin_leaves_nobody_out,
                    an_opt_out_holds_on_every_gateway_and_run,
                    what_is_said_in_a_rehearsal_stays_there,
                    nobody_is_begun_after_the_commit_of_an_opt_out,
                    a_failed_delivery_that_is_put_back_is_looked_at_again,
                }
                proving::{
                    a_run_in_which_everything_has_happened_is_proved,
                    a_run_that_is_not_there_is_no_finding,
                    a_proof_sees_one_moment,
                    a_cancelled_run_is_proved_whatever_was_in_hand,
                }
                placing::{
                    a_new_store_settles_without_a_question,
                    many_handles_settle_at_once,
                    a_store_that_was_sent_from_is_at_home,
                    accepting_what_is_at_home_changes_nothing,
                }
                stepping::{
                    what_was_due_stays_due,
                    a_clock_that_goes_forward_ends_waits_and_nothing_else,
                }
                model::{ every_walk_agrees_with_the_model }
            }
        }
    };
}

conformance!(on_sqlite, crate::ledger::store::SqliteFile);
/// Where the machine's own clock decides, and not a server's.
mod by_the_machines_clock {
    checks! { crate::ledger::store::SqliteFile:
        stepping::{
            retries_are_not_put_off_by_a_clock_that_is_set_back,
            a_providers_wait_lasts_as_long_as_it_asked,
            a_lease_is_not_held_for_hours_more,
            a_clock_is_followed_once,
            slots_go_back_with_the_clock,
        }
    }
}

conformance!(on_postgres, crate::ledger::cluster::PostgresDatabase);
