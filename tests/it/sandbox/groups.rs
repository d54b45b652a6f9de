//! Groups: made with several people, renamed, joined and left (chert §7.2, §11).

use serde_json::json;

use super::*;

const ROBIN: &str = "+12025550145";
const KIM: &str = "+12025550146";

fn group(to: &[&str], key: &str) -> Value {
    let mut body = hello(DANA, key);
    body["to"] = json!(to);
    body["message"]["subject"] = json!("Friday table");
    body
}

/// A group of these people; answers its chat id.
async fn made(stage: &Stage, to: &[&str]) -> String {
    chat_of(&stage.done("/chats", &group(to, "k1")).await)
}

impl Stage {
    async fn put(&self, path: &str, body: &Value) -> Answer {
        answer(self.bearer(Method::PUT, path).body(body.to_string())).await
    }

    /// Takes somebody out of a group.
    async fn remove(&self, chat: &str, address: &str) -> Answer {
        let address = address.replace('+', "%2B").replace('@', "%40");
        let path = format!("/chats/{chat}/participants/{address}");
        answer(self.bearer(Method::DELETE, &path)).await
    }

    async fn follow(&self, chat: &str, text: &str) -> Answer {
        let body = json!({ "message": { "parts": [{ "type": "text", "value": text }] } });
        self.post(&format!("/chats/{chat}/messages"), &body).await
    }

    /// The only chat of the sandbox, as the control surface shows it.
    async fn the_chat(&self) -> Value {
        self.look("/chats").await["chats"][0].clone()
    }
}

#[tokio::test]
async fn a_group_has_a_name_a_handle_for_everybody_and_is_always_a_new_one() {
    let stage = Stage::new().await;
    let first = stage.done("/chats", &group(&[DANA, SAM], "k1")).await;
    let chat = &first["chat"];
    assert_eq!(chat["is_group"], true);
    assert_eq!(chat["display_name"], "Friday table");
    let handle = |address| json!({ "service": "imessage", "address": address });
    assert_eq!(chat["handles"], json!([handle(DANA), handle(SAM)]));
    let second = stage.done("/chats", &group(&[DANA, SAM], "k2")).await;
    assert_ne!(chat["id"], second["chat"]["id"]);
    for person in [DANA, SAM] {
        assert_eq!(stage.received(person).len(), 2);
    }
    let alone = stage.greet(DANA, "k3").await;
    assert_eq!(alone["chat"]["is_group"], false);
    stage.close().await;
}

#[tokio::test]
async fn a_group_is_renamed_and_a_repeated_request_still_gets_its_first_answer() {
    let stage = Stage::new().await;
    let body = group(&[DANA, SAM], "k1");
    let first = stage.done("/chats", &body).await;
    let path = format!("/chats/{}", chat_of(&first));
    let icon = "https://bistro.example/icon.png";
    let renamed = stage
        .put(&path, &json!({ "display_name": "  Saturday table " }))
        .await;
    assert_eq!(
        renamed.json(),
        json!({ "chat": { "id": chat_of(&first), "display_name": "Saturday table",
            "group_chat_icon": null, "is_group": true } })
    );
    let pictured = stage
        .put(&path, &json!({ "group_chat_icon": icon }))
        .await
        .json();
    assert_eq!(pictured["chat"]["display_name"], "Saturday table");
    assert_eq!(pictured["chat"]["group_chat_icon"], icon);
    let shown = stage.the_chat().await;
    assert_eq!(shown["display_name"], "Saturday table");
    assert_eq!(shown["group_chat_icon"], icon);
    assert_eq!(stage.done("/chats", &body).await, first);
    for (wrong, code) in [
        (json!({}), 1001),
        (json!({ "display_name": " " }), 1002),
        (json!({ "display_name": 7 }), 1002),
        (
            json!({ "group_chat_icon": "http://bistro.example/icon.png" }),
            1002,
        ),
    ] {
        let refused = stage.put(&path, &wrong).await;
        assert_eq!((refused.code(), refused.status), (code, 400), "{wrong}");
    }
    assert_eq!(stage.deeds().len(), 2, "a refusal renames nothing");
    stage.close().await;
}

#[tokio::test]
async fn whoever_joins_gets_what_is_sent_from_then_on_and_whoever_left_nothing() {
    let stage = Stage::new().await;
    let chat = made(&stage, &[DANA, SAM]).await;
    let path = format!("/chats/{chat}/participants");
    let joined = stage.done(&path, &json!({ "address": ROBIN })).await;
    assert_eq!(
        joined,
        json!({ "chat_id": chat, "added": ROBIN, "participants": [DANA, SAM, ROBIN] })
    );
    let mail = "kim@bistro.example";
    let everybody = json!([DANA, SAM, ROBIN, mail]);
    for _ in 0..2 {
        let again = stage.done(&path, &json!({ "handle": mail })).await;
        assert_eq!(again["participants"], everybody, "twice is once");
    }
    let line = stage.done(&path, &json!({ "address": LINE })).await;
    assert_eq!(line["participants"], everybody, "the line is in it already");
    assert_eq!(stage.follow(&chat, "Welcome").await.status, 200);
    let gone = stage.remove(&chat, SAM).await;
    assert_eq!(
        gone.json(),
        json!({ "chat_id": chat, "removed": SAM, "participants": [DANA, ROBIN, mail] })
    );
    assert_eq!(
        stage.remove(&chat, SAM).await.code(),
        1001,
        "a second time errs"
    );
    assert_eq!(stage.follow(&chat, "See you").await.status, 200);
    let counts = [DANA, SAM, ROBIN, mail, KIM].map(|who| stage.received(who).len());
    assert_eq!(counts, [3, 2, 2, 2, 0]);
    assert_eq!(
        stage.the_chat().await["participants"],
        json!([DANA, ROBIN, mail])
    );
    for (wrong, code) in [
        (json!({}), 1001),
        (json!({ "address": "Kim" }), 1002),
        (json!({ "address": ["+12025550146"] }), 1002),
    ] {
        stage.refused(&path, &wrong, (code, 400)).await;
    }
    assert_eq!(
        stage
            .deeds()
            .iter()
            .map(|(what, _)| *what)
            .collect::<Vec<_>>(),
        ["add_participant", "add_participant", "remove_participant"]
    );
    stage.close().await;
}

#[tokio::test]
async fn a_group_keeps_three_members_its_line_among_them_and_takes_thirty_one() {
    let stage = Stage::new().await;
    let chat = made(&stage, &[DANA, SAM]).await;
    let small = stage.remove(&chat, SAM).await;
    assert_eq!((small.code(), small.status), (1002, 400));
    let alone = stage
        .post(&format!("/chats/{chat}/leave"), &json!({}))
        .await;
    assert_eq!((alone.code(), alone.status), (1002, 400));
    let path = format!("/chats/{chat}/participants");
    for n in 0..29 {
        let person = format!("+120255501{n:02}");
        stage.done(&path, &json!({ "address": person })).await;
    }
    let body = json!({ "address": "+12025550150" });
    stage.refused(&path, &body, (1006, 422)).await;
    stage.close().await;
}

#[tokio::test]
async fn a_group_that_was_left_takes_nothing_more() {
    let stage = Stage::new().await;
    let chat = made(&stage, &[DANA, SAM, ROBIN]).await;
    let path = format!("/chats/{chat}");
    let left = stage.done(&format!("{path}/leave"), &json!({})).await;
    assert_eq!(left, json!({ "chat_id": chat, "status": "left" }));
    assert_eq!(stage.the_chat().await["left"], true);
    assert_eq!(stage.follow(&chat, "Hello?").await.code(), 1012);
    assert_eq!(
        stage
            .post(&format!("{path}/leave"), &json!({}))
            .await
            .code(),
        1012
    );
    assert_eq!(
        stage
            .put(&path, &json!({ "display_name": "x" }))
            .await
            .code(),
        1012
    );
    let typing = json!({ "state": "typing" });
    stage
        .refused(&format!("{path}/typing"), &typing, (1012, 409))
        .await;
    stage
        .refused(&format!("{path}/mark-read"), &json!({}), (1002, 422))
        .await;
    assert_eq!(stage.totals().messages, 1);
    stage.close().await;
}

#[tokio::test]
async fn what_is_for_groups_is_refused_elsewhere_and_where_the_line_cannot() {
    let stage = Stage::new().await;
    let direct = chat_of(&stage.greet(DANA, "k0").await);
    let chat = made(&stage, &[DANA, SAM, ROBIN]).await;
    let (name, address) = (json!({ "display_name": "x" }), json!({ "address": KIM }));
    // Rename, add, remove, leave: the codes of a chat, and the same of a line that cannot.
    let all = async |chat: &str| {
        let path = format!("/chats/{chat}");
        [
            stage.put(&path, &name).await,
            stage.post(&format!("{path}/participants"), &address).await,
            stage.remove(chat, SAM).await,
            stage.post(&format!("{path}/leave"), &json!({})).await,
        ]
        .map(|answer| (answer.code(), answer.status))
    };
    assert_eq!(all(&direct).await, [(1006, 400); 4]);
    assert_eq!(all("nope").await, [(2002, 404); 4]);
    stage.change_line(&json!({ "capabilities": ["edit"] }));
    assert_eq!(
        all(&chat).await,
        [(4099, 501), (4099, 422), (4099, 422), (4099, 501)]
    );
    stage
        .refused("/chats", &group(&[DANA, SAM], "k9"), (4099, 501))
        .await;
    stage.change_line(&json!({ "capabilities": ["groups"], "is_active": false }));
    assert_eq!(all(&chat).await, [(4001, 502); 4]);
    assert!(stage.deeds().is_empty());
    stage.close().await;
}
