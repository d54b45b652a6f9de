//! A provider that cannot be reached: no such name, nobody there, no secure connection; at the
//! start, and in the middle of a run through a road that is closed for a while.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Stdio};

use serde_json::json;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use super::says;
use crate::support::{RUN, Stage, tied, until};

/// Where the stage's gateway is, and another address instead.
fn send_to(stage: &Stage, base_url: &str) {
    let settings = stage.project.read("sendoff.yaml");
    let moved: String = settings
        .lines()
        .map(|line| match line.split_once("base_url: ") {
            Some((before, _)) => format!("{before}base_url: {base_url}\n"),
            None => format!("{line}\n"),
        })
        .collect();
    stage.project.write("sendoff.yaml", moved);
}

fn address_of(stage: &Stage) -> String {
    let settings = stage.project.read("sendoff.yaml");
    let (_, url) = settings.split_once("base_url: http://").unwrap();
    url.split('/').next().unwrap().to_owned()
}

/// Nothing is sent, and nothing is frozen either.
async fn cannot_start(stage: &Stage, words: &[&str]) {
    let ended = stage.send().await;
    says(
        &ended,
        1,
        &[&["'chert'", "base_url", "nothing was sent"], words].concat(),
    );
    let status = stage.project.run(&["status"]).await;
    assert!(!status.out.contains(RUN), "{status:?}");
    assert_eq!(stage.provider.totals().await.people, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_cannot_be_found_is_told_before_anything_is_sent() {
    let stage = Stage::new(3).await;
    send_to(&stage, "https://nowhere.invalid/api/v1");
    cannot_start(&stage, &["'nowhere.invalid'", "cannot be found", "online"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_there_is_told_before_anything_is_sent() {
    let stage = Stage::new(3).await;
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    send_to(&stage, &format!("http://127.0.0.1:{port}/api/v1"));
    cannot_start(&stage, &["refuses connections", "running"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_tls_is_told_before_anything_is_sent() {
    let stage = Stage::new(3).await;
    let address = address_of(&stage);
    send_to(&stage, &format!("https://{address}/api/v1"));
    cannot_start(&stage, &["no secure connection"]).await;
}

/// A server of TLS whose certificate nobody has signed.
struct Stranger {
    server: Child,
    port: String,
}

impl Stranger {
    fn start() -> Self {
        const SCRIPT: &str = "
import socket, ssl, sys
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1], sys.argv[2])
listener = socket.create_server(('127.0.0.1', 0))
print(listener.getsockname()[1], flush=True)
while True:
    stream, _ = listener.accept()
    try:
        context.wrap_socket(stream, server_side=True).close()
    except OSError:
        pass
";
        const FILES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/machine/tls");
        let mut server = tied("python3")
            .args(["-c", SCRIPT])
            .args([
                format!("{FILES}/certificate.pem"),
                format!("{FILES}/key.pem"),
            ])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("this test needs python3 on the PATH");
        let mut port = String::new();
        let out = server.stdout.take().unwrap();
        BufReader::new(out).read_line(&mut port).unwrap();
        Self {
            server,
            port: port.trim().to_owned(),
        }
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        self.server.kill().ok();
        self.server.wait().ok();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_nobody_signed_is_told_before_anything_is_sent() {
    let stage = Stage::new(3).await;
    let stranger = Stranger::start();
    send_to(
        &stage,
        &format!("https://localhost:{}/api/v1", stranger.port),
    );
    cannot_start(&stage, &["no secure connection that this machine trusts"]).await;
}

/// The only road to the sandbox, which can be closed and opened again.
struct Road {
    at: SocketAddr,
    to: String,
    open: Option<JoinHandle<()>>,
}

impl Road {
    async fn to_the_provider_of(stage: &Stage) -> Self {
        let to = address_of(stage);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        send_to(stage, &format!("http://{at}/api/v1"));
        let mut road = Self { at, to, open: None };
        road.carry(listener);
        road
    }

    fn carry(&mut self, listener: TcpListener) {
        let to = self.to.clone();
        self.open = Some(tokio::spawn(async move {
            // Ends with all its connections.
            let mut connections = JoinSet::new();
            loop {
                let (mut from, _) = listener.accept().await.unwrap();
                let to = to.clone();
                connections.spawn(async move {
                    if let Ok(mut there) = TcpStream::connect(to).await {
                        copy_bidirectional(&mut from, &mut there).await.ok();
                    }
                });
            }
        }));
    }

    /// From now on nothing gets through, and nobody answers.
    async fn close(&mut self) {
        let open = self.open.take().unwrap();
        open.abort();
        open.await.unwrap_err();
    }

    async fn open(&mut self) {
        let listener = TcpListener::bind(self.at).await.unwrap();
        self.carry(listener);
    }
}

/// Two tries are all that the campaign allows, and the outage is longer than both.
#[tokio::test(flavor = "multi_thread")]
async fn an_outage_uses_up_nobodys_attempts() {
    let terms = "pace: { concurrency: 4 }\nretry: { attempts: 2, base: 10ms, max: 20ms }";
    let stage = Stage::with(40, terms, "").await;
    let mut road = Road::to_the_provider_of(&stage).await;
    stage
        .provider
        .faults(1, &json!([{ "kind": "slow", "delay_ms": 30 }]))
        .await;
    let mut process = stage.start(&[]);
    stage.provider.until_people(8).await;
    road.close().await;
    // Told to whoever looks, and several waits long.
    until("the outage to be told", async || {
        let status = stage.project.run(&["status", RUN]).await;
        status.out.contains("refuses connections").then_some(())
    })
    .await;
    let begun = tokio::time::Instant::now();
    until("several tries", async || {
        (begun.elapsed().as_secs() >= 4).then_some(())
    })
    .await;
    assert!(process.is_running(), "{}", process.err());
    let rows = stage.project.rows(RUN).await;
    assert!(
        rows.iter()
            .all(|row| !["failed", "uncertain"].contains(&row.state.as_str())),
        "{rows:?}"
    );
    road.open().await;
    let ended = process.end().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    stage.assert_everybody_once().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_resumed_during_an_outage_goes_on_after_it() {
    let stage = Stage::with(20, "", "").await;
    let mut road = Road::to_the_provider_of(&stage).await;
    let ended = stage.start(&["--limit", "5"]).end().await;
    assert_eq!(ended.code, Some(4), "{ended:?}");
    road.close().await;
    let process = stage.project.spawn(&["resume", RUN, "--yes"]);
    until("the outage to be told", async || {
        let status = stage.project.run(&["status", RUN]).await;
        status.out.contains("refuses connections").then_some(())
    })
    .await;
    road.open().await;
    let ended = process.end().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    stage.assert_everybody_once().await;
}
