//! Finds the settings file, the ledger and the secrets that it only points to. The environment is
//! handed in. Does not read the file itself: its format is `intake`'s.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use secrecy::SecretString;

use crate::domain::account::SecretSource;
use crate::domain::problem::Problem;

/// The settings file, looked for in the working directory.
pub const FILE_NAME: &str = "sendoff.yaml";
/// Names the ledger; wins over the settings file.
pub const LEDGER_VARIABLE: &str = "SENDOFF_LEDGER";
/// The ledger where nothing names one: a file in the working directory.
pub const DEFAULT_LEDGER: &str = "sqlite://sendoff.db";
/// A secret is a line; a file longer than this is something else, named by mistake.
const MAX_SECRET_BYTES: u64 = 16 * 1024;

/// Looks up one environment variable; `std::env::var_os` at the edge, a closure in tests.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<OsString>;

/// Why a setting outside the settings file's text cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    #[error("there is no settings file '{}'; check what `--config` names", .0.display())]
    NoFile(PathBuf),
    #[error("'{}' is not read: the settings file is called '{FILE_NAME}'; rename it, or name it with `--config`", .0.display())]
    WrongName(PathBuf),
    #[error("the environment variable {0} is not set; it must hold {1}")]
    Unset(String, &'static str),
    #[error("the environment variable {0} is empty; it must hold {1}")]
    Empty(String, &'static str),
    #[error("the environment variable {0} does not hold text (UTF-8)")]
    NotText(String),
    #[error(
        "the secret in {0} has a line break or another control character in it; it must be one line"
    )]
    NotOneLine(String),
    #[error("the secret's file '{}' cannot be read: {reason}", path.display())]
    Unreadable { path: PathBuf, reason: String },
    #[error("the secret's file '{}' is empty", .0.display())]
    EmptyFile(PathBuf),
    #[error("the secret's file '{}' does not hold a secret: {why}", path.display())]
    NoSecret { path: PathBuf, why: &'static str },
}

const SECRET: &str = "the account's secret";

/// The settings file to read: the one `chosen` with `--config`, which must exist, or
/// [`FILE_NAME`] in `folder`. None: there is none, and every setting has its default.
///
/// # Errors
/// When the chosen file does not exist, or a `sendoff.yml` would silently be passed over.
pub fn find(chosen: Option<&Path>, folder: &Path) -> Result<Option<PathBuf>, SettingsError> {
    if let Some(chosen) = chosen {
        let path = folder.join(chosen);
        return if path.is_file() {
            Ok(Some(chosen.to_owned()))
        } else {
            Err(SettingsError::NoFile(chosen.to_owned()))
        };
    }
    if folder.join(FILE_NAME).is_file() {
        return Ok(Some(PathBuf::from(FILE_NAME)));
    }
    let near = Path::new("sendoff.yml");
    if folder.join(near).is_file() {
        return Err(SettingsError::WrongName(near.to_owned()));
    }
    Ok(None)
}

/// Where the ledger is: [`LEDGER_VARIABLE`], else what the settings file says, else
/// [`DEFAULT_LEDGER`]. A variable that is set to nothing counts as not set.
///
/// # Errors
/// When the variable is not text.
pub fn ledger(
    in_file: Option<&str>,
    environment: Environment<'_>,
) -> Result<String, SettingsError> {
    let from_environment = variable(LEDGER_VARIABLE, environment)?;
    Ok(from_environment
        .as_deref()
        .map(str::trim)
        .filter(|text| !text.is_empty())
        .or(in_file)
        .unwrap_or(DEFAULT_LEDGER)
        .to_owned())
}

/// A secret as it was found, and what is to be said about the place.
#[derive(Debug)]
pub struct FoundSecret {
    pub value: SecretString,
    /// Others on this machine can read it too.
    pub warning: Option<Problem>,
}

/// Fetches a secret from where the settings say it is, without the white space around it.
///
/// # Errors
/// When it is missing, empty or no single line; names the variable or the file, never the value.
pub fn secret(
    source: &SecretSource,
    environment: Environment<'_>,
) -> Result<FoundSecret, SettingsError> {
    match source {
        SecretSource::Env(name) => {
            let text = variable(name, environment)?
                .map(SecretText)
                .ok_or_else(|| SettingsError::Unset(name.clone(), SECRET))?;
            match text.line() {
                Ok("") => Err(SettingsError::Empty(name.clone(), SECRET)),
                Ok(line) => Ok(FoundSecret {
                    value: SecretString::from(line),
                    warning: None,
                }),
                Err(NotOneLine) => Err(SettingsError::NotOneLine(name.clone())),
            }
        }
        SecretSource::File(path) => from_file(path),
    }
}

/// What the usual faults mean to the person who wrote the path.
const REASONS: [(io::ErrorKind, &str); 3] = [
    (io::ErrorKind::NotFound, "there is no such file"),
    (io::ErrorKind::PermissionDenied, "this user may not read it"),
    (io::ErrorKind::IsADirectory, "it is a folder"),
];

fn from_file(path: &Path) -> Result<FoundSecret, SettingsError> {
    let unreadable = |error: &io::Error| SettingsError::Unreadable {
        path: path.to_owned(),
        reason: REASONS
            .iter()
            .find(|(kind, _)| *kind == error.kind())
            .map_or_else(
                || error.kind().to_string(),
                |(_, words)| (*words).to_owned(),
            ),
    };
    let no_secret = |why| SettingsError::NoSecret {
        path: path.to_owned(),
        why,
    };
    let file = File::open(path).map_err(|error| unreadable(&error))?;
    let warning = readable_by_others(&file).then(|| {
        Problem::warning(format!(
            "the secret's file '{}' can be read by other users of this machine",
            path.display()
        ))
        .help(format!("chmod 600 {}", path.display()))
    });
    let mut bytes = Vec::new();
    file.take(MAX_SECRET_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| unreadable(&error))?;
    if bytes.len() as u64 > MAX_SECRET_BYTES {
        return Err(no_secret("it is longer than 16 KiB"));
    }
    let text = String::from_utf8(bytes).map_err(|_| no_secret("it is not text (UTF-8)"))?;
    match SecretText(text).line() {
        Ok("") => Err(SettingsError::EmptyFile(path.to_owned())),
        Ok(line) => Ok(FoundSecret {
            value: SecretString::from(line),
            warning,
        }),
        Err(NotOneLine) => Err(no_secret("it has more than one line")),
    }
}

struct SecretText(String);
struct NotOneLine;

impl SecretText {
    /// Trimmed, also of the byte order mark that some editors put in front.
    fn line(&self) -> Result<&str, NotOneLine> {
        let line = self.0.trim_start_matches('\u{feff}').trim();
        if line.contains(char::is_control) {
            Err(NotOneLine)
        } else {
            Ok(line)
        }
    }
}

fn variable(name: &str, environment: Environment<'_>) -> Result<Option<String>, SettingsError> {
    environment(name)
        .map(|value| {
            value
                .into_string()
                .map_err(|_| SettingsError::NotText(name.to_owned()))
        })
        .transpose()
}

#[cfg(unix)]
fn readable_by_others(file: &File) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    file.metadata()
        .is_ok_and(|metadata| metadata.permissions().mode() & 0o077 != 0)
}

#[cfg(not(unix))]
fn readable_by_others(_file: &File) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret as _;

    fn env<'a>(pairs: &'a [(&'a str, &'a str)]) -> impl Fn(&str) -> Option<OsString> + 'a {
        |name| {
            let (_, value) = pairs.iter().find(|(known, _)| *known == name)?;
            Some(OsString::from(value))
        }
    }

    fn of_env(pairs: &[(&str, &str)]) -> Result<String, String> {
        secret(&SecretSource::Env("KEY".to_owned()), &env(pairs))
            .map(|found| found.value.expose_secret().to_owned())
            .map_err(|error| error.to_string())
    }

    fn of_file(content: &[u8]) -> Result<String, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret.txt");
        std::fs::write(&path, content).unwrap();
        secret(&SecretSource::File(path), &env(&[]))
            .map(|found| found.value.expose_secret().to_owned())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_variable_gives_the_secret_without_white_space() {
        assert_eq!(of_env(&[("KEY", " s3cret\n")]).as_deref(), Ok("s3cret"));
    }

    #[test]
    fn a_missing_secret_names_the_variable_and_never_the_value() {
        let error = of_env(&[]).unwrap_err();
        assert!(error.contains("KEY is not set"), "{error}");
        for empty in ["", " \n"] {
            assert!(
                of_env(&[("KEY", empty)])
                    .unwrap_err()
                    .contains("KEY is empty")
            );
        }
        let error = of_env(&[("KEY", "s3cret\nmore")]).unwrap_err();
        assert!(
            error.contains("KEY") && !error.contains("s3cret"),
            "{error}"
        );
    }

    #[cfg(unix)]
    #[test]
    fn a_variable_that_is_no_text_is_refused() {
        use std::os::unix::ffi::OsStringExt as _;
        let odd = |_: &str| Some(OsString::from_vec(vec![0xff]));
        let error = secret(&SecretSource::Env("KEY".to_owned()), &odd).unwrap_err();
        assert!(error.to_string().contains("KEY does not hold text"));
        assert!(ledger(None, &odd).is_err());
    }

    #[test]
    fn a_file_gives_the_secret_without_white_space() {
        assert_eq!(of_file(b"\xef\xbb\xbfs3cret\r\n").as_deref(), Ok("s3cret"));
    }

    #[test]
    fn a_file_without_a_secret_is_named_and_never_shown() {
        let long = vec![b'x'; 20_000];
        for (content, words) in [
            (&b" \n"[..], "is empty"),
            (b"s3cret\nmore", "more than one line"),
            (b"s3cret\xff", "not text"),
            (&long, "16 KiB"),
        ] {
            let error = of_file(content).unwrap_err();
            assert!(
                error.contains("secret.txt") && error.contains(words),
                "{error}"
            );
            assert!(!error.contains("s3cret"), "{error}");
        }
        let missing = SecretSource::File(PathBuf::from("/nonexistent/secret.txt"));
        let error = secret(&missing, &env(&[])).unwrap_err().to_string();
        assert!(error.contains("no such file") && error.contains("/nonexistent/secret.txt"));
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_others_can_read_gets_a_warning() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret.txt");
        std::fs::write(&path, "s3cret").unwrap();
        let source = SecretSource::File(path.clone());
        for (mode, warned) in [(0o600, false), (0o400, false), (0o640, true), (0o644, true)] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            let found = secret(&source, &env(&[])).unwrap();
            assert_eq!(found.warning.is_some(), warned, "{mode:o}");
            assert!(!format!("{found:?}").contains("s3cret"));
        }
    }

    #[test]
    fn the_ledger_is_named_by_variable_then_file_then_default() {
        let set = [(LEDGER_VARIABLE, "sqlite://other.db")];
        let of = |in_file, pairs| ledger(in_file, &env(pairs)).unwrap();
        assert_eq!(of(Some("sqlite://a.db"), &set), "sqlite://other.db");
        assert_eq!(of(Some("sqlite://a.db"), &[]), "sqlite://a.db");
        assert_eq!(of(None, &[(LEDGER_VARIABLE, " ")]), DEFAULT_LEDGER);
    }

    #[test]
    fn the_settings_file_is_the_chosen_one_or_the_one_in_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        assert_eq!(find(None, at).unwrap(), None);
        std::fs::write(at.join("sendoff.yml"), "").unwrap();
        let error = find(None, at).unwrap_err().to_string();
        assert!(error.contains("'sendoff.yml'") && error.contains("'sendoff.yaml'"));
        std::fs::write(at.join(FILE_NAME), "").unwrap();
        assert_eq!(
            find(None, at).unwrap().as_deref(),
            Some(Path::new(FILE_NAME))
        );
        let error = find(Some(Path::new("x.yaml")), at).unwrap_err().to_string();
        assert!(
            error.contains("'x.yaml'") && error.contains("--config"),
            "{error}"
        );
        let whole = at.join("sendoff.yml");
        assert_eq!(find(Some(&whole), at).unwrap(), Some(whole));
    }
}
