//! A campaign to a long list, as a user would write it.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::Command;

use super::sandbox::SandboxProcess;

const CAMPAIGN: &str = r#"
name: bench
gateway: chert
from: ["+15555550100", "+15555550101"]
recipients:
  csv: list.csv
  columns: { phone: Mobile, key: CustomerID }
  region: US
  where: "visits > 0"
message: message.yaml
vars: { business: "Texas Prime Plumbing" }
"#;

const MESSAGE: &str = "
parts:
  - type: text
    value: |-
      Hi {{ first_name }}, this is {{ technician }} from {{ business }}.
      I would really appreciate a Google review.
  - type: rich_link
    url: https://search.example.com/local/writereview?placeid={{ place_id }}
    title: Leave a review
";

/// Writes campaign, template and a list of `count` people; `more` goes into the campaign.
pub(crate) fn write(folder: &Path, count: u32, more: &str) {
    fs::write(folder.join("campaign.yaml"), format!("{CAMPAIGN}{more}\n")).unwrap();
    fs::write(folder.join("message.yaml"), MESSAGE).unwrap();
    let mut list = BufWriter::new(File::create(folder.join("list.csv")).unwrap());
    writeln!(
        list,
        "CustomerID,First Name,Mobile,Technician,Place ID,Visits"
    )
    .unwrap();
    // Numbers stand in no order, as in a real list.
    for n in 0..count {
        let subscriber = (u64::from(n) * 7_919_993) % 8_000_000;
        let (exchange, line) = (200 + subscriber / 10_000, subscriber % 10_000);
        writeln!(
            list,
            "C{n},Person {n},(202) {exchange}-{line:04},Marco,pl-{n},{}",
            1 + n % 7
        )
        .unwrap();
    }
    list.flush().unwrap();
}

/// Writes the settings that send to the sandbox; `more` goes into the gateway's.
pub(crate) fn settings(folder: &Path, sandbox: &SandboxProcess, more: &str) {
    let text = format!(
        "gateways:\n  chert:\n    kind: chert\n    base_url: {}\n    tenant: {}\n    \
         auth: hmac\n    signing_secret: {{ env: SENDOFF_SANDBOX_SECRET }}\n    \
         first_touch: none\n{more}",
        sandbox.base_url, sandbox.tenant
    );
    fs::write(folder.join("sendoff.yaml"), text).unwrap();
}

/// The program in that folder.
pub(crate) fn sendoff(folder: &Path, sandbox: &SandboxProcess, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sendoff"));
    command
        .args(args)
        .current_dir(folder)
        .env("SENDOFF_SANDBOX_SECRET", &sandbox.secret)
        .env_remove("SENDOFF_LEDGER")
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null());
    command
}
