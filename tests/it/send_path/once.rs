//! Everybody once: the rehearsal, a plain run, and a run that is started again.

use crate::support::{RUN, Stage};

#[tokio::test(flavor = "multi_thread")]
async fn a_run_sends_everybody_once_and_says_so() {
    let stage = Stage::new(40).await;
    let ended = stage.send().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    stage.assert_everybody_once().await;
    let again = stage.send().await;
    assert_eq!(again.code, Some(0), "{again:?}");
    assert!(again.err.contains("finished already"), "{again:?}");
    let resumed = stage.resume().await;
    assert_eq!(resumed.code, Some(0), "{resumed:?}");
    let journal = stage.assert_everybody_once().await;
    assert_eq!(journal.totals.message_posts, 40, "{RUN} was not left alone");
}
