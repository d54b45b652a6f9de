//! The summary in plain words, letter by letter, for each way a run can stand.

use jiff::SignedDuration;

use super::*;

#[test]
fn a_marketer_reads_what_became_of_a_finished_run() {
    let (record, facts) = finished();
    insta::assert_snapshot!(text(&record, &facts, &view()), @r"
    review-request@once is finished; 3 failed, 1 uncertain.
    Sent to 1,204 of the 1,250 rows in the list, in 4 minutes 1 second (5 a second).

      Gateway    chert, from 2 lines
      Started    today, 10:00:00 (America/Chicago)
      Last sent  today, 10:04:02
      Finished   today, 10:04:05

      Sent              1,204   96.3%  the provider took it
        delivered       1,100   88.0%  it reached the phone
        read              312   25.0%  it was opened
      Failed                3    0.2%  refused for good, or every attempt failed
      Uncertain             1    0.1%  may have been sent, nothing can tell
      Skipped              42    3.4%  left out on purpose
      Rows in the list  1,250

    Left out on purpose
      30  left out by `where` (filtered)
      11  already further up in the list (duplicate)
       1  no usable phone number (invalid_phone)

    Failed: 3
      2  code 1005  the text of a first message must not hold a web address; put it
                    into a part of its own of the type rich_link
      1             no connection to the provider

    Uncertain: 1
      1  the connection broke before an answer
      row 17      +1202•••0143
      It may have been sent: the request left, and no answer said whether it was
      taken. Sending again could mean sending twice, so that never happens by
      itself. The conversation with the recipient shows what arrived.

    What to do next
      Put back what failed, when its cause is put right; `resume` sends it:
        sendoff retry review-request@once
      Say of each uncertain one what its conversation shows, `sent` or `unsent`:
        sendoff resolve review-request@once --row 17 --as sent
      Read what happened to one person:
        sendoff explain review-request@once --row 17
      See every row with its state and reason:
        sendoff report review-request@once --format csv -o review-request-once.csv
    ");
}

#[test]
fn an_operator_reads_what_a_running_run_waits_for() {
    let (record, facts) = waiting(RunState::Running);
    insta::assert_snapshot!(text(&record, &facts, &view()), @r"
    nightly@2026-11-20T10:00-06:00 is running.
    Sent to 6,000 of the 10,002 rows in the list, in 12 hours 29 minutes (8 a
    minute).

      Gateway    chert, from 2 lines
      Started    today, 10:00:00 (America/Chicago)
      Last sent  today, 22:29:59

      Sent               6,000   60.0%  the provider took it
      On the wire            2   <0.1%  begun, no answer yet
      Waiting            4,000   40.0%  not sent yet
      Rows in the list  10,002

    Still to come
      2,499  waiting for their turn
      1,500  outside the allowed hours; the first tomorrow, 09:00 (in 10 hours 30
             minutes)
          1  the whole account has to wait; the first today, 22:30:45 (in 45
             seconds)
          2  on the wire: begun, and without an answer so far

    Waiting for the provider
      the whole account until today, 22:30:45 (in 45 seconds): too many requests
      line +15555550101 until tomorrow, 00:00 (in 1 hour 30 minutes): daily limit of
      new conversations reached

    What to do next
      Send the rest; nobody gets it twice, even while another process is sending:
        sendoff resume nightly@2026-11-20T10:00-06:00
      See every row with its state and reason:
        sendoff report nightly@2026-11-20T10:00-06:00 --format csv -o nightly-2026-11-20T10-00-06-00.csv
    ");
}

#[test]
fn a_halted_run_says_why_and_how_to_go_on() {
    let (mut record, facts) = waiting(RunState::Halted);
    record.reason = Some("the provider refuses the credentials\u{1b}[2J (code 2001).".into());
    let facts = RunFacts {
        counts: counts(&[(DeliveryState::Pending, 10_002)]),
        holds: vec![(Some(Hold::Retry), 10_002, record.starts_at)],
        gates: vec![],
        first_sent_at: None,
        last_sent_at: None,
        ..facts
    };
    insta::assert_snapshot!(text(&record, &facts, &view()), @r"
    nightly@2026-11-20T10:00-06:00 was halted: the provider refuses the credentials
    [2J (code 2001).
    Nothing has been sent; the list has 10,002 rows.

      Gateway    chert, from 2 lines
      Started    today, 10:00:00 (America/Chicago)

      Sent                   0      0%  the provider took it
      Waiting           10,002    100%  not sent yet
      Rows in the list  10,002

    Still to come
      10,002  refused for now, to be tried again; due now

    What to do next
      When the cause is put right, go on where it stopped:
        sendoff resume nightly@2026-11-20T10:00-06:00
      See every row with its state and reason:
        sendoff report nightly@2026-11-20T10:00-06:00 --format csv -o nightly-2026-11-20T10-00-06-00.csv
    ");
}

#[test]
fn a_rehearsal_says_that_nobody_was_written_to() {
    let record = RunRecord {
        finished_at: Some(at("2026-11-20T10:00:02-06:00")),
        ..run("review-request@rehearsal-1", RunState::Finished, 1)
    };
    let facts = RunFacts {
        counts: counts(&[(DeliveryState::Sent, 1)]),
        first_sent_at: Some(at("2026-11-20T10:00:01-06:00")),
        last_sent_at: Some(at("2026-11-20T10:00:01-06:00")),
        ..RunFacts::default()
    };
    insta::assert_snapshot!(text(&record, &facts, &view()), @r"
    review-request@rehearsal-1 is finished.
    Sent to the only row in the list.
    This was a rehearsal in the sandbox: no real person was written to.

      Gateway    a sandbox, from 2 lines
      Started    today, 10:00:00 (America/Chicago)
      Last sent  today, 10:00:01
      Finished   today, 10:00:02

      Sent              1    100%  the provider took it
      Rows in the list  1

    What to do next
      See every row with its state and reason:
        sendoff report review-request@rehearsal-1 --format csv -o review-request-rehearsal-1.csv
      Send it for real: the same `sendoff run` without --sandbox. It asks first.
    ");
}

#[test]
fn a_run_that_is_being_sent_says_how_long_it_takes_yet() {
    let (record, facts) = waiting(RunState::Running);
    let facts = RunFacts {
        holds: vec![(None, 4_000, record.starts_at)],
        last_sent_at: facts
            .first_sent_at
            .map(|first| first + SignedDuration::from_mins(10)),
        ..facts
    };
    let told = text(&record, &facts, &view());
    assert!(
        told.contains("To go      about 6 minutes 40 seconds"),
        "{told}"
    );
}

#[test]
fn a_run_of_tomorrow_has_not_begun() {
    let record = RunRecord {
        starts_at: at("2026-11-21T10:00:00-06:00"),
        ..run("review-request@once", RunState::Running, 3)
    };
    let facts = RunFacts {
        counts: counts(&[(DeliveryState::Pending, 3)]),
        holds: vec![(None, 3, record.starts_at)],
        ..RunFacts::default()
    };
    insta::assert_snapshot!(text(&record, &facts, &view()), @r"
    review-request@once has not begun yet.
    Nothing has been sent; the list has 3 rows.

      Gateway    chert, from 2 lines
      Starts     tomorrow, 10:00:00 (America/Chicago)

      Sent              0      0%  the provider took it
      Waiting           3    100%  not sent yet
      Rows in the list  3

    Still to come
      3  not due yet; the first tomorrow, 10:00 (in 11 hours 30 minutes)

    What to do next
      Wait for its time and send it then:
        sendoff resume review-request@once
      See every row with its state and reason:
        sendoff report review-request@once --format csv -o review-request-once.csv
    ");
}

#[test]
fn without_colour_there_is_no_escape_and_with_it_the_words_are_the_same() {
    let (record, facts) = finished();
    let plain = text(&record, &facts, &view());
    assert!(!plain.contains('\u{1b}'));
    let style = Style {
        colour: Colour::On,
        ..Style::PLAIN
    };
    let coloured = text(&record, &facts, &View { style, ..view() });
    assert!(coloured.contains("\u{1b}[31m"));
    let mut bare = coloured;
    for code in ["0", "1", "2", "31", "32", "33"] {
        bare = bare.replace(&format!("\u{1b}[{code}m"), "");
    }
    assert_eq!(bare, plain);
}

#[test]
fn a_narrow_terminal_gets_narrow_lines() {
    let (record, facts) = finished();
    let style = Style {
        width: 50,
        ..Style::PLAIN
    };
    for line in text(&record, &facts, &View { style, ..view() }).lines() {
        let fits = line.chars().count() <= 50 || line.starts_with("    sendoff ");
        assert!(fits, "{line}");
    }
}

#[test]
fn failures_beyond_the_list_are_still_counted() {
    let (record, mut facts) = finished();
    facts.failures.remove(0);
    let told = text(&record, &facts, &view());
    assert!(told.contains("  2  for other reasons"), "{told}");
    assert_eq!(run_json(&record, &facts)["failures_not_listed"], 2);
}

#[test]
fn a_cancelled_run_says_what_was_stopped() {
    let record = RunRecord {
        finished_at: Some(at("2026-11-20T10:01:00-06:00")),
        ..run("review-request@once", RunState::Cancelled, 12)
    };
    let facts = RunFacts {
        counts: counts(&[(DeliveryState::Sent, 10), (DeliveryState::Cancelled, 2)]),
        first_sent_at: Some(at("2026-11-20T10:00:01-06:00")),
        last_sent_at: Some(at("2026-11-20T10:00:21-06:00")),
        ..RunFacts::default()
    };
    insta::assert_snapshot!(text(&record, &facts, &view()), @r"
    review-request@once was cancelled.
    Sent to 10 of the 12 rows in the list, in 20 seconds (30 a minute).

      Gateway    chert, from 2 lines
      Started    today, 10:00:00 (America/Chicago)
      Last sent  today, 10:00:21
      Cancelled  today, 10:01:00

      Sent              10   83.3%  the provider took it
      Cancelled          2   16.7%  stopped before it was sent
      Rows in the list  12

    What to do next
      See every row with its state and reason:
        sendoff report review-request@once --format csv -o review-request-once.csv
    ");
}
