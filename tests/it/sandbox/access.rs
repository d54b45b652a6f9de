//! Who may call, and how fast (chert §2, §4.1, §15).

use reqwest::Method;
use secrecy::ExposeSecret;
use sendoff::sandbox::{Standing, Strangers, Tenant, TenantKind, default_rate};
use serde_json::json;

use super::*;

const OTHER_SECRET: &str = "00112233445566778899aabbccddeeff";

fn two_tenants() -> SandboxConfig {
    SandboxConfig {
        tenants: vec![
            Tenant::new("acme-7a3f", "0123456789abcdef0123456789abcdef".to_owned()),
            Tenant::new("bistro-11aa", OTHER_SECRET.to_owned()),
        ],
        ..config()
    }
}

#[tokio::test]
async fn a_signed_request_is_let_in() {
    let stage = Stage::new().await;
    let body = hello(DANA, "k1").to_string();
    let signed = signature(stage.secret(), stage.now_s(), &body);
    let request = stage
        .bare(Method::POST, "/chats")
        .header("x-chert-tenant", &stage.tenant.slug)
        .header("x-chert-signature", signed)
        .body(body);
    assert_eq!(answer(request).await.status, 200);
    let empty = signature(stage.secret(), stage.now_s(), "");
    let request = stage
        .bare(Method::GET, "/phone-numbers")
        .header("x-chert-tenant", &stage.tenant.slug)
        .header("x-chert-signature", empty);
    assert_eq!(answer(request).await.status, 200);
    stage.close().await;
}

/// A GET with this signature, in the name of this tenant.
async fn signed(stage: &Stage, tenant: &str, signature: String) -> Answer {
    let request = stage
        .bare(Method::GET, "/phone-numbers")
        .header("x-chert-tenant", tenant)
        .header("x-chert-signature", signature);
    answer(request).await
}

#[tokio::test]
async fn each_way_to_fail_a_signature_has_its_code() {
    let stage = Stage::with(two_tenants()).await;
    let (secret, now) = (stage.secret(), stage.now_s());
    let good = signature(secret, now, "");
    let (acme, bistro) = ("acme-7a3f", "bistro-11aa");
    let later = good.replace(&now.to_string(), &(now + 1).to_string());
    let shouted = good.to_uppercase().replace("V1", "v1");
    for (what, tenant, signature, code) in [
        ("unknown tenant", "nobody-0000", good.clone(), 2001),
        ("other tenant", bistro, good.clone(), 2004),
        ("other body", acme, signature(secret, now, "x"), 2004),
        ("other time", acme, later, 2004),
        ("too old", acme, signature(secret, now - 301, ""), 2013),
        ("too early", acme, signature(secret, now + 301, ""), 2013),
        (
            "old and wrong",
            acme,
            signature("wrong", now - 301, ""),
            2013,
        ),
        ("no version", acme, good.replace("v1,", ""), 2004),
        ("short", acme, format!("v1,{now},abcd"), 2004),
        ("upper case", acme, shouted, 2004),
    ] {
        let answer = signed(&stage, tenant, signature).await;
        let status = if code == 2001 { 404 } else { 401 };
        assert_eq!((answer.code(), answer.status), (code, status), "{what}");
    }
    let nameless = stage
        .bare(Method::GET, "/phone-numbers")
        .header("x-chert-signature", good);
    assert_eq!(answer(nameless).await.code(), 2001);
    for edge in [-300, 300] {
        let signature = signature(secret, now + edge, "");
        assert_eq!(
            signed(&stage, acme, signature).await.status,
            200,
            "{edge} s"
        );
    }
    stage.close().await;
}

#[tokio::test]
async fn a_clock_that_is_off_is_told_the_right_time() {
    let stage = Stage::new().await;
    let request = stage
        .bare(Method::GET, "/phone-numbers")
        .header("x-chert-tenant", &stage.tenant.slug)
        .header("x-chert-signature", signature(stage.secret(), 1, ""));
    let answer = answer(request).await;
    assert_eq!(answer.code(), 2013);
    assert_eq!(answer.header("date"), Some("Wed, 10 Jun 2026 09:15:00 GMT"));
    stage.close().await;
}

#[tokio::test]
async fn each_way_to_fail_a_token_has_its_code() {
    let mut config = two_tenants();
    config.tenants.push(Tenant {
        kind: TenantKind::Multi,
        ..Tenant::new("many-22bb", "multi-secret".to_owned())
    });
    config.tenants.push(Tenant {
        standing: Standing::Suspended,
        ..Tenant::new("late-33cc", "late-secret".to_owned())
    });
    let stage = Stage::with(config).await;
    let own = stage.secret().to_owned();
    for (what, tenant, token, code, status) in [
        ("nothing", None, None, 2012, 401),
        ("tenant only", Some("acme-7a3f"), None, 2012, 401),
        ("wrong token", None, Some("wrong"), 2004, 401),
        (
            "unknown tenant",
            Some("nobody-0000"),
            Some(own.as_str()),
            2001,
            404,
        ),
        (
            "other tenant",
            Some("bistro-11aa"),
            Some(own.as_str()),
            2004,
            401,
        ),
        ("multi without name", None, Some("multi-secret"), 2001, 404),
        ("suspended", None, Some("late-secret"), 2005, 403),
    ] {
        let mut request = stage.bare(Method::GET, "/phone-numbers");
        if let Some(tenant) = tenant {
            request = request.header("x-chert-tenant", tenant);
        }
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let answer = answer(request).await;
        assert_eq!((answer.code(), answer.status), (code, status), "{what}");
    }
    let named = stage
        .bare(Method::GET, "/phone-numbers")
        .header("x-chert-tenant", "many-22bb")
        .bearer_auth("multi-secret");
    assert_eq!(answer(named).await.status, 200);
    stage.close().await;
}

#[tokio::test]
async fn a_failed_signature_does_not_fall_back_to_the_token() {
    let stage = Stage::new().await;
    let request = stage
        .bearer(Method::GET, "/phone-numbers")
        .header("x-chert-tenant", &stage.tenant.slug)
        .header("x-chert-signature", signature("wrong", stage.now_s(), ""));
    assert_eq!(answer(request).await.code(), 2004);
    stage.close().await;
}

#[tokio::test]
async fn a_stranger_registers_by_calling_where_that_is_allowed() {
    let stage = Stage::with(SandboxConfig {
        strangers: Strangers::Admit,
        ..config()
    })
    .await;
    let signed = |secret: &str| {
        stage
            .bare(Method::GET, "/phone-numbers")
            .header("x-chert-tenant", "rehearsal-1")
            .header("x-chert-signature", signature(secret, stage.now_s(), ""))
    };
    assert_eq!(answer(signed("made-up")).await.status, 200);
    // The token tells the secret; from here on signatures are checked against it.
    let token = |token: &str| {
        stage
            .bare(Method::GET, "/phone-numbers")
            .header("x-chert-tenant", "rehearsal-1")
            .bearer_auth(token)
    };
    assert_eq!(answer(token("made-up")).await.status, 200);
    assert_eq!(answer(token("another")).await.code(), 2004);
    assert_eq!(answer(signed("another")).await.code(), 2004);
    assert_eq!(answer(signed("made-up")).await.status, 200);
    stage.close().await;
}

#[tokio::test]
async fn registering_shows_the_secret_once() {
    let stage = Stage::new().await;
    let body = json!({ "email": "dana@bistro.example" }).to_string();
    let register = || stage.bare(Method::POST, "/register").body(body.clone());
    let first = answer(register()).await.json();
    let secret = first["signing_secret"].as_str().unwrap();
    assert_eq!(secret.len(), 32);
    let let_in = stage
        .bare(Method::GET, "/phone-numbers")
        .bearer_auth(secret);
    assert_eq!(answer(let_in).await.status, 200);
    let again = answer(register()).await.json();
    assert_eq!(again["tenant_slug"], first["tenant_slug"]);
    assert!(again["signing_secret"].is_null());
    let nameless = stage.bare(Method::POST, "/register").body("{}");
    assert_eq!(answer(nameless).await.code(), 1001);
    stage.close().await;
}

#[tokio::test]
async fn a_registration_lists_the_paths_that_there_are() {
    let stage = Stage::new().await;
    let body = json!({ "email": "dana@bistro.example" }).to_string();
    let registered = answer(stage.bare(Method::POST, "/register").body(body)).await;
    let paths = registered.json()["endpoints_available"].clone();
    let paths: Vec<&str> = paths
        .as_array()
        .unwrap()
        .iter()
        .map(|path| path.as_str().unwrap())
        .collect();
    for path in [
        "send",
        "chats",
        "locations",
        "chats/{id}/participants/{address}",
        "messages/{id}/edit",
    ] {
        let path = format!("/api/v1/{path}");
        let count = paths.iter().filter(|listed| **listed == path).count();
        assert_eq!(count, 1, "{path}");
    }
    // Strikes every route that there is, and nothing else.
    stage.faults(&json!([{ "kind": "error", "code": 3003, "match": { "route": "any" } }]));
    for path in paths {
        let path = path
            .strip_prefix("/api/v1")
            .unwrap()
            .replace("{id}", "x")
            .replace("{address}", "y");
        let mut codes = Vec::new();
        for method in [
            Method::GET,
            Method::POST,
            Method::PUT,
            Method::PATCH,
            Method::DELETE,
        ] {
            codes.push(answer(stage.bearer(method, &path).body("{}")).await.code());
        }
        assert!(codes.iter().any(|code| *code != 2011), "{path}: {codes:?}");
    }
    let nowhere = stage.bearer(Method::POST, "/nothing").body("{}");
    assert_eq!(answer(nowhere).await.code(), 2011);
    stage.close().await;
}

#[tokio::test]
async fn the_rate_limit_says_how_long_to_wait_and_means_it() {
    let stage = Stage::with(SandboxConfig {
        rate: Some(default_rate()),
        ..config()
    })
    .await;
    for n in 0..20 {
        assert_eq!(stage.get("/phone-numbers").await.status, 200, "{n}");
    }
    let refused = stage.post("/chats", &hello(DANA, "k1")).await;
    assert_eq!((refused.code(), refused.status), (1007, 429));
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(refused.json()["error"]["retry_after"], 1);
    assert_eq!(refused.json()["error"]["retryable"], true);
    assert!(stage.received(DANA).is_empty());
    stage.step(SignedDuration::from_secs(1));
    stage.greet(DANA, "k1").await;
    stage.close().await;
}

#[tokio::test]
async fn tenants_do_not_see_each_others_chats_keys_or_rate() {
    let stage = Stage::with(two_tenants()).await;
    let mine = stage.greet(DANA, "k1").await;
    let body = hello(DANA, "k1").to_string();
    let other = |method, path: &str| stage.bare(method, path).bearer_auth(OTHER_SECRET);
    let theirs = answer(other(Method::POST, "/chats").body(body))
        .await
        .json();
    assert_ne!(mine["chat"]["id"], theirs["chat"]["id"]);
    assert_ne!(mine["message"]["id"], theirs["message"]["id"]);
    let message = format!("/messages/{}", mine["message"]["id"].as_str().unwrap());
    assert_eq!(answer(other(Method::GET, &message)).await.code(), 2003);
    assert_eq!(stage.totals().repeated_keys, 0);
    stage.close().await;
}

#[tokio::test]
async fn the_pasted_settings_are_those_of_a_tenant_that_is_let_in() {
    let stage = Stage::with(SandboxConfig {
        rate: Some(default_rate()),
        ..config()
    })
    .await;
    let paste = stage.sandbox.paste("chert");
    let expected = format!(
        "gateways:\n  chert:\n    kind: chert\n    base_url: {}\n    tenant: {}\n    auth: hmac\n    \
         signing_secret: {{ env: SENDOFF_SANDBOX_SECRET }}\n    rate: 10/s\n    burst: 20\n    \
         first_touch: none\n",
        stage.sandbox.base_url(),
        stage.tenant.slug
    );
    assert_eq!(paste.settings, expected);
    assert_eq!(
        paste.campaign,
        format!("gateway: chert\nfrom: [\"{LINE}\"]\n")
    );
    let secret = stage.tenant.secret.expose_secret();
    assert_eq!(
        paste.export,
        format!("export SENDOFF_SANDBOX_SECRET={secret}\n")
    );
    assert!(!format!("{paste:?}").contains(secret));
    stage.close().await;
}
