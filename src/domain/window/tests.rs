//! The promises of windows, and a search minute by minute that they must agree with.

use proptest::prelude::*;

use super::*;

fn window(days: &str, from: &str, to: &str, zone: &str) -> Window {
    Window::new(
        Days::parse(days).unwrap(),
        DayTime::parse(from).unwrap(),
        DayTime::parse(to).unwrap(),
        WindowZone::parse(zone).unwrap(),
    )
    .unwrap()
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn phone(text: &str) -> Address {
    Address::stored(text).unwrap()
}

/// A number of fiction.
fn somebody() -> Address {
    phone("+12025550143")
}

fn opening(window: &Window, now: &str) -> String {
    window
        .next_open(at(now), None, &somebody())
        .unwrap()
        .to_string()
}

#[test]
fn an_open_window_is_now_and_a_closed_one_is_its_next_opening() {
    let window = window("MON-SAT", "09:00", "20:00", "America/Chicago");
    // Friday, 20 November 2026
    assert_eq!(
        opening(&window, "2026-11-20T18:00:07Z"),
        "2026-11-20T18:00:07Z"
    );
    assert_eq!(
        opening(&window, "2026-11-20T12:00Z"),
        "2026-11-20T15:00:00Z"
    );
    assert_eq!(
        opening(&window, "2026-11-21T01:59:59Z"),
        "2026-11-21T01:59:59Z"
    );
    assert_eq!(
        opening(&window, "2026-11-21T02:00Z"),
        "2026-11-21T15:00:00Z"
    );
    // Saturday evening: Sunday is shut.
    assert_eq!(
        opening(&window, "2026-11-22T02:00Z"),
        "2026-11-23T15:00:00Z"
    );
}

#[test]
fn a_window_to_midnight_goes_on_in_the_next_day_s_window() {
    let whole = window("MON-SUN", "00:00", "24:00", "Europe/Berlin");
    assert_eq!(opening(&whole, "2026-10-25T00:30Z"), "2026-10-25T00:30:00Z");
    let evening = window("FRI", "22:00", "24:00", "UTC");
    assert_eq!(
        opening(&evening, "2026-11-20T23:59:59.999Z"),
        "2026-11-20T23:59:59.999Z"
    );
    assert_eq!(
        opening(&evening, "2026-11-21T00:00Z"),
        "2026-11-27T22:00:00Z"
    );
}

#[test]
fn a_window_that_opens_in_the_gap_opens_after_it() {
    // Sao Paulo's clocks jumped from 00:00 to 01:00 on 4 November 2018.
    let night = window("MON-SUN", "00:00", "02:00", "America/Sao_Paulo");
    assert_eq!(opening(&night, "2018-11-03T12:00Z"), "2018-11-04T03:00:00Z");
    // Swallowed whole by the gap: the next day.
    let short = window("MON-SUN", "00:00", "00:30", "America/Sao_Paulo");
    assert_eq!(opening(&short, "2018-11-03T12:00Z"), "2018-11-05T02:00:00Z");
}

#[test]
fn clocks_set_back_open_a_window_again() {
    let night = window("MON-SUN", "00:00", "01:30", "America/Chicago");
    assert_eq!(opening(&night, "2026-11-01T06:45Z"), "2026-11-01T07:00:00Z");
    let late = window("MON-SUN", "01:30", "01:45", "America/Chicago");
    assert_eq!(opening(&late, "2026-11-01T06:45Z"), "2026-11-01T07:30:00Z");
}

#[test]
fn each_recipient_s_own_zone_counts_when_it_is_known() {
    let window = window("MON-SUN", "09:00", "20:00", "recipient");
    let tokyo = zone::parse("Asia/Tokyo").unwrap();
    let open = window.next_open(at("2026-11-20T12:00Z"), Some(&tokyo), &somebody());
    assert_eq!(open, Ok(at("2026-11-21T00:00Z")));
}

#[test]
fn an_unknown_zone_leaves_only_the_hours_common_to_the_country() {
    let window = window("MON-SUN", "09:00", "20:00", "recipient");
    let open = |number: &str| window.next_open(at("2026-07-01T00:00Z"), None, &phone(number));
    // From nine in Honolulu (19:00 UTC) to eight in Newfoundland (22:30 UTC).
    for north_american in ["+12025550143", "+14165550143", "+15555550143"] {
        assert_eq!(open(north_american), Ok(at("2026-07-01T19:00Z")));
    }
    let late = window.next_open(at("2026-07-01T22:30Z"), None, &somebody());
    assert_eq!(late, Ok(at("2026-07-02T19:00Z")));
    // One zone: Germany.
    assert_eq!(open("+4930123456"), Ok(at("2026-07-01T07:00Z")));
    // Nine in Kaliningrad is seven in UTC, eight in Kamchatka an hour later.
    assert_eq!(open("+74012123456"), Ok(at("2026-07-01T07:00Z")));
}

#[test]
fn a_window_no_hour_of_which_is_common_is_told_apart() {
    let narrow = window("MON-SUN", "09:00", "10:00", "recipient");
    let now = at("2026-07-01T00:00Z");
    assert_eq!(
        narrow.next_open(now, None, &somebody()),
        Err(NeverOpen::NoCommonHours("US and CA".to_owned()))
    );
    assert_eq!(
        narrow.next_open(now, None, &phone("+870773112345")),
        Err(NeverOpen::CountryUnknown)
    );
    // A known zone is enough for both.
    let utc = TimeZone::UTC;
    assert!(
        narrow
            .next_open(now, Some(&utc), &phone("+870773112345"))
            .is_ok()
    );
}

#[test]
fn what_is_no_window_is_refused() {
    for bad in ["", "MON-", "MON SAT", "MON,,TUE", "Monday", "1-5"] {
        assert!(Days::parse(bad).is_err(), "{bad}");
    }
    for bad in [
        "",
        "9",
        "9:0",
        "24:01",
        "12:60",
        "-1:00",
        "9:00pm",
        "+9:00",
        "٠٩:٠٠",
    ] {
        assert!(DayTime::parse(bad).is_err(), "{bad}");
    }
    for (from, to) in [("20:00", "09:00"), ("09:00", "09:00")] {
        let (from, to) = (DayTime::parse(from).unwrap(), DayTime::parse(to).unwrap());
        let window = Window::new(Days::ALL, from, to, WindowZone::Recipient);
        assert_eq!(window, Err(BadWindow::Empty { from, to }));
    }
    assert!(WindowZone::parse("Texas").is_err());
}

#[test]
fn weekdays_are_written_as_people_write_them() {
    for (read, written) in [
        ("mon-sat", "MON-SAT"),
        ("FRI, MON,wed", "MON,WED,FRI"),
        ("SAT-MON", "MON,SAT,SUN"),
        ("MON-SUN", "MON-SUN"),
        ("MON,TUE,WED,SUN", "MON-WED,SUN"),
    ] {
        assert_eq!(Days::parse(read).unwrap().to_string(), written);
    }
}

#[test]
fn a_window_is_stored_and_read_back() {
    for zone in ["recipient", "America/Chicago"] {
        let window = window("MON-SAT", "09:00", "24:00", zone);
        let text = serde_json::to_string(&window).unwrap();
        assert_eq!(
            text,
            format!(r#"{{"days":"MON-SAT","from":"09:00","to":"24:00","zone":"{zone}"}}"#)
        );
        assert_eq!(serde_json::from_str::<Window>(&text).unwrap(), window);
    }
    let backwards = r#"{"days":"MON","from":"20:00","to":"09:00","zone":"UTC"}"#;
    assert!(serde_json::from_str::<Window>(backwards).is_err());
}

/// Looks at every minute (all transitions and all windows fall on whole minutes).
fn by_search(window: &Window, zone: &TimeZone, now: Timestamp) -> Timestamp {
    let mut at = now;
    while !window.is_open(zone, at) {
        let past = at.as_millisecond().rem_euclid(60_000);
        at += SignedDuration::from_millis(60_000 - past);
    }
    at
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn the_opening_is_the_one_that_a_search_minute_by_minute_finds(
        days in 1u8..128, from in 0u16..1440, length in 1u16..1440,
        name in prop::sample::select(vec![
            "America/Chicago", "America/Sao_Paulo", "America/Havana", "Europe/London",
            "Australia/Lord_Howe", "Pacific/Apia", "Asia/Kathmandu",
        ]),
        change in 0usize..20, minute in -4_000i64..4_000,
    ) {
        let to = (from + length).min(1440);
        let text = |minutes: u16| format!("{:02}:{:02}", minutes / 60, minutes % 60);
        let names: Vec<&str> = ["MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN"]
            .into_iter()
            .enumerate()
            .filter(|(i, _)| days >> i & 1 == 1)
            .map(|(_, name)| name)
            .collect();
        let window = window(&names.join(","), &text(from), &text(to), name);
        let zone = zone::parse(name).unwrap();
        // Around a change of clocks; somewhere in 2004 where there is none.
        let start = at("2004-01-01T00:00Z");
        let near = zone.following(start).nth(change).map_or(start, |change| change.timestamp());
        let now = near + SignedDuration::from_secs(minute * 60 + 7);
        prop_assert_eq!(
            window.next_open(now, None, &somebody()),
            Ok(by_search(&window, &zone, now))
        );
    }
}
