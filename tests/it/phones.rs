//! The phones, in a real browser: what a marketer sees of the own campaign, and what becomes of an
//! answer that is typed there.

use crate::cli::shipped;
use crate::support::browser::Browser;
use crate::support::{Process, Project, until};

const WIDE: (u32, u32) = (1280, 860);
const NARROW: (u32, u32) = (500, 860);

/// A rehearsal whose phones are there, and the page's address.
async fn rehearsed(project: &Project, campaign: &str) -> (Process, String) {
    let process = project.spawn(&["run", campaign, "--sandbox", "--phones"]);
    let page = until("the page", async || {
        let said = process.err();
        let (_, rest) = said.split_once("The phones stay at ")?;
        rest.split_whitespace().next().map(str::to_owned)
    })
    .await;
    (process, page)
}

async fn end(process: Process) {
    process.signal("INT");
    let ended = process.end().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
}

fn phone_button(phone: &str) -> String {
    format!("[data-phone=\"{phone}\"]")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_campaign_is_seen_as_its_people_get_it_and_a_stop_is_heard() {
    let project = shipped();
    let (process, page) = rehearsed(&project, "campaigns/review-request.yaml").await;
    let browser = Browser::open(&page, WIDE).await;
    browser
        .until(
            "everybody's phone",
            "return document.querySelectorAll('#people button').length === 41",
        )
        .await;
    let phone = browser
        .look("return document.querySelector('#people button').dataset.phone")
        .await;
    let phone = phone.as_str().unwrap().to_owned();
    browser.click(&phone_button(&phone)).await;
    browser
        .until(
            "the picture, the text and the card",
            "const image = document.querySelector('#bubbles img'); \
             return Boolean(image && image.naturalWidth > 0 \
             && document.querySelector('#bubbles .text') \
             && document.querySelector('#bubbles .card'))",
        )
        .await;
    let text = browser
        .look("return document.querySelector('#bubbles .text').textContent")
        .await;
    assert!(text.as_str().unwrap().starts_with("Hi "), "{text}");
    browser
        .until(
            "a receipt",
            "return document.querySelector('#bubbles .status').textContent.includes('delivered') \
             || document.querySelector('#bubbles .status').textContent.includes('read')",
        )
        .await;
    browser.picture("wide.png").await;

    // An answer that is typed appears as the person's own, and is heard as what it is.
    browser.enter("#text", "Thank you!\u{e007}").await;
    browser
        .until(
            "the answer",
            "return [...document.querySelectorAll('#bubbles .mine.text')]\
             .some(one => one.textContent === 'Thank you!')",
        )
        .await;
    browser.enter("#text", "stop").await;
    browser.click("#send").await;
    browser
        .until(
            "the word on the page",
            "return !document.querySelector('#badge').hidden",
        )
        .await;
    until("the word of the engine", async || {
        process
            .err()
            .contains("1 of this rehearsal's people have opted out")
            .then_some(())
    })
    .await;
    // However long the conversation, every bubble has room for what it says.
    let cut = "return [...document.querySelectorAll('#bubbles .bubble')]\
               .filter(one => one.scrollHeight > one.clientHeight + 1).length";
    assert_eq!(browser.look(cut).await, 0, "bubbles that are cut");
    browser.picture("stop.png").await;
    let complaints = browser.complaints().await;
    assert!(complaints.is_empty(), "{complaints:?}");
    browser.close().await;
    end(process).await;
    one_opted_out(&project, &phone).await;
}

/// In the ledger; and nobody for real, for it was a rehearsal.
async fn one_opted_out(project: &Project, phone: &str) {
    let run = "review-request@rehearsal-1";
    let status = project.run(&["status", run, "--format", "json"]).await;
    let answers = &status.json()["answers"];
    assert_eq!(answers["opted_out"], 1, "{answers}");
    assert_eq!(answers["replies"], 2, "{answers}");
    let list = project.run(&["suppress", "list"]).await;
    assert!(!list.out.contains(&phone[phone.len() - 4..]), "{list:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_arrives_while_the_page_is_open_appears_and_markup_is_text() {
    let project = Project::new();
    let process = project.spawn(&["sandbox", "--listen", "127.0.0.1:0"]);
    let page = until("the page", async || {
        let said = process.out();
        let (_, rest) = said.split_once("received something: ")?;
        let (page, _) = rest.split_once('\n')?;
        Some(page.trim().to_owned())
    })
    .await;
    let browser = Browser::open(&page, NARROW).await;
    browser
        .until(
            "the words for an empty sandbox",
            "return document.querySelector('#count').textContent.startsWith('Nobody')",
        )
        .await;
    let client = reqwest::Client::new();
    let words =
        "<script>document.title='taken'</script><img src=x onerror=\"document.title='taken'\">";
    let body = serde_json::json!({ "from": "+12025550143", "text": words });
    let inbound = format!("{page}_sandbox/inbound");
    let write = async |body: String| {
        let answer = client.post(&inbound).body(body).send().await.unwrap();
        assert_eq!(answer.status(), 200);
    };
    write(body.to_string()).await;
    browser
        .until(
            "the phone of whoever wrote",
            "return document.querySelectorAll('#people button').length === 1",
        )
        .await;
    // By the keyboard alone: the number is found, and its phone is opened.
    browser.enter("#search", "0143").await;
    browser
        .enter(&phone_button("+12025550143"), "\u{e007}")
        .await;
    let shown =
        "return [...document.querySelectorAll('#bubbles .text')].map(one => one.textContent)";
    until("the words", async || {
        (browser.look(shown).await == serde_json::json!([words])).then_some(())
    })
    .await;
    write(r#"{ "from": "+12025550143", "text": "Are you there?" }"#.to_owned()).await;
    until("the next words", async || {
        (browser.look(shown).await == serde_json::json!([words, "Are you there?"])).then_some(())
    })
    .await;
    assert_ne!(browser.look("return document.title").await, "taken");
    let wide = "return document.documentElement.scrollWidth <= window.innerWidth";
    assert_eq!(
        browser.look(wide).await,
        true,
        "it is wider than the window"
    );
    browser.picture("narrow.png").await;
    browser.click("#back").await;
    browser
        .until(
            "the list",
            "return document.querySelector('#people').offsetParent !== null",
        )
        .await;
    let complaints = browser.complaints().await;
    assert!(complaints.is_empty(), "{complaints:?}");
    browser.close().await;
    process.signal("INT");
    assert_eq!(process.end().await.code, Some(0));
}
