//! A real browser, driven over `WebDriver` (W3C) by a chromedriver of the test's own.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::{Client, Method};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{LOOK, tied, until};

/// How the protocol calls an element's id.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// How often the files of a browser that has ended are looked at, at the most.
const LOOKS: u32 = 1_000;

/// A window. It closes, and its driver ends, when the value goes.
#[derive(Debug)]
pub(crate) struct Browser {
    driver: Child,
    client: Client,
    session: String,
    profile: TempDir,
}

impl Browser {
    pub(crate) async fn open(url: &str, (width, height): (u32, u32)) -> Self {
        let profile = tempfile::tempdir().unwrap();
        let said = profile.path().join("driver.txt");
        let driver = alone("chromedriver")
            .arg("--port=0")
            .stdin(Stdio::null())
            .stdout(File::create(&said).unwrap())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver is there: tests/run installs it");
        let port = until("the browser's driver", async || port(&said)).await;
        let home = format!("http://127.0.0.1:{port}/session");
        let mut browser = Self {
            driver,
            client: Client::builder()
                .timeout(Duration::from_mins(1))
                .build()
                .unwrap(),
            session: home.clone(),
            profile,
        };
        let folder = browser.profile.path().join("profile");
        let args = [
            "--headless".to_owned(),
            "--no-sandbox".to_owned(),
            "--disable-gpu".to_owned(),
            "--disable-quic".to_owned(),
            "--disable-dev-shm-usage".to_owned(),
            "--no-first-run".to_owned(),
            "--disable-background-networking".to_owned(),
            "--disable-component-update".to_owned(),
            "--disable-sync".to_owned(),
            format!("--user-data-dir={}", folder.display()),
            format!("--window-size={width},{height}"),
        ];
        let wanted = json!({ "capabilities": { "alwaysMatch": {
            "browserName": "chrome",
            "goog:chromeOptions": { "args": args },
            "goog:loggingPrefs": { "browser": "ALL" },
        } } });
        let made = browser.ask(Method::POST, "", wanted).await;
        browser.session = format!("{home}/{}", made["sessionId"].as_str().unwrap());
        browser
            .ask(Method::POST, "/url", json!({ "url": url }))
            .await;
        browser
    }

    async fn ask(&self, method: Method, path: &str, body: Value) -> Value {
        let value = self.try_to(method, path, body).await;
        assert!(value.get("error").is_none(), "{path}: {value:#}");
        value
    }

    async fn try_to(&self, method: Method, path: &str, body: Value) -> Value {
        let request = self
            .client
            .request(method.clone(), format!("{}{path}", self.session));
        let request = match method {
            Method::POST => request.body(body.to_string()),
            _ => request,
        };
        let answer = request.send().await.unwrap();
        let text = answer.text().await.unwrap();
        let answer: Value = serde_json::from_str(&text).unwrap();
        answer["value"].clone()
    }

    /// What a script in the page returns.
    pub(crate) async fn look(&self, script: &str) -> Value {
        let body = json!({ "script": script, "args": [] });
        self.ask(Method::POST, "/execute/sync", body).await
    }

    /// Waits until a script in the page returns true.
    pub(crate) async fn until(&self, what: &str, script: &str) {
        until(what, async || {
            (self.look(script).await == true).then_some(())
        })
        .await;
    }

    async fn find(&self, css: &str) -> String {
        let wanted = json!({ "using": "css selector", "value": css });
        let found = self.ask(Method::POST, "/element", wanted).await;
        found[ELEMENT].as_str().unwrap().to_owned()
    }

    /// Does something to an element, and again where the page has just put another in its place.
    async fn touch(&self, css: &str, deed: &str, body: Value) {
        until(css, async || {
            let path = format!("/element/{}/{deed}", self.find(css).await);
            let done = self.try_to(Method::POST, &path, body.clone()).await;
            match done["error"].as_str() {
                None => Some(()),
                Some("stale element reference") => None,
                Some(_) => panic!("{css}: {done:#}"),
            }
        })
        .await;
    }

    /// Clicks as a person does: what is covered or not there cannot be clicked.
    pub(crate) async fn click(&self, css: &str) {
        self.touch(css, "click", json!({})).await;
    }

    /// Types on the keyboard; `\u{e007}` is the Enter key.
    pub(crate) async fn enter(&self, css: &str, text: &str) {
        self.touch(css, "value", json!({ "text": text })).await;
    }

    /// What the browser's console says: refused scripts and failed requests stand there.
    pub(crate) async fn complaints(&self) -> Vec<String> {
        let log = self
            .ask(Method::POST, "/se/log", json!({ "type": "browser" }))
            .await;
        let lines = log.as_array().unwrap().iter();
        lines.map(|line| line["message"].to_string()).collect()
    }

    /// A picture of the page as a PNG, also for whoever wants to look at it: in the folder that
    /// `SENDOFF_SCREENSHOTS` names.
    pub(crate) async fn picture(&self, name: &str) {
        let picture = self.ask(Method::GET, "/screenshot", Value::Null).await;
        let bytes = STANDARD.decode(picture.as_str().unwrap()).unwrap();
        assert!(bytes.starts_with(b"\x89PNG"));
        let folder = std::env::var_os("SENDOFF_SCREENSHOTS");
        let folder = folder.map_or_else(|| self.profile.path().to_owned(), PathBuf::from);
        fs::write(folder.join(name), bytes).unwrap();
    }

    /// Closes the window before the driver is ended, so that no process of it is left.
    pub(crate) async fn close(self) {
        self.ask(Method::DELETE, "", Value::Null).await;
    }
}

impl Drop for Browser {
    /// Whatever the driver has started ends with it, and lets go of the profile then.
    #[expect(
        clippy::disallowed_methods,
        reason = "nobody says when the last process of a browser has let go of its files"
    )]
    fn drop(&mut self) {
        self.driver.kill().ok();
        self.driver.wait().ok();
        for _ in 0..LOOKS {
            match fs::remove_dir_all(self.profile.path()) {
                Err(error) if error.kind() != ErrorKind::NotFound => thread::sleep(LOOK),
                _ => return,
            }
        }
    }
}

/// A program that nothing it starts outlives, wherever it is started and however it ends: it has
/// process ids of its own, which the system ends with it.
fn alone(program: &str) -> Command {
    let apart = ["--pid", "--mount-proc", "--fork", "--kill-child"];
    // A user namespace needs no rights; root may do without where there are none.
    let own_user = ["--user", "--map-root-user"];
    let mut look = Command::new("unshare");
    let look = look.args(own_user).args(apart).arg("true");
    let may = look.stderr(Stdio::null()).status();
    let own_user = may
        .expect("`unshare` of util-linux is needed on the PATH")
        .success();
    let mut command = tied("unshare");
    if own_user {
        command.args(["--user", "--map-root-user"]);
    }
    command.args(apart).arg(program);
    command
}

fn port(said: &Path) -> Option<u16> {
    let said = fs::read_to_string(said).ok()?;
    let (_, rest) = said.split_once("started successfully on port ")?;
    let digits = rest.split(|c: char| !c.is_ascii_digit()).next()?;
    // A number that is not whole yet is followed by nothing.
    rest.contains('.').then(|| digits.parse().ok())?
}
