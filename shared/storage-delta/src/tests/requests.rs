//! What calls cost in requests to the server.

use forebay_storage::OfflineStore;

use crate::{
    S3Config,
    tests::{
        Lake,
        lake::{made, moving},
        proxy::Proxy,
    },
};

#[tokio::test(flavor = "multi_thread")]
async fn an_append_and_a_look_take_few_requests_whatever_the_table_holds() {
    let proxy = Proxy::start(&forebay_testbed::s3().endpoint).await;
    let lake = Lake::on_server(&proxy.endpoint, S3Config::default());
    let schema = made(&lake.store).await;
    for step in 0..40 {
        lake.store
            .append(&schema, moving(step, step + 1))
            .await
            .expect("appended");
    }
    lake.store.positions(&schema, 1).await.expect("positions");

    proxy.requests();
    lake.store.append(&schema, moving(40, 41)).await.expect("appended");
    let append = proxy.requests();
    let kinds = |requests: &[String]| -> Vec<String> {
        let mut kinds: Vec<_> = requests
            .iter()
            .map(|request| request.split(' ').next().expect("a kind").to_owned())
            .collect();
        kinds.sort();
        kinds
    };
    assert_eq!(kinds(&append), ["HEAD", "HEAD", "PUT", "PUT"], "{append:#?}");

    lake.store.positions(&schema, 1).await.expect("positions");
    let after = proxy.requests();
    assert_eq!(kinds(&after), ["GET", "HEAD", "HEAD", "LIST"], "{after:#?}");
    let list = after.iter().find(|request| request.starts_with("LIST")).expect("one");
    assert!(
        list.contains("_delta_log") && list.contains("start-after"),
        "only the log, from where it is known: {list}"
    );

    lake.store.positions(&schema, 12).await.expect("positions");
    let several = proxy.requests();
    assert_eq!(
        kinds(&several),
        ["HEAD", "HEAD"],
        "identities that are not there are known not to be: {several:#?}"
    );
    lake.store.positions(&schema, 12).await.expect("positions");
    assert_eq!(kinds(&proxy.requests()), ["HEAD", "HEAD"]);

    let fresh = lake.another();
    assert_eq!(fresh.positions(&schema, 12).await.expect("positions")[0], 41);
    let fresh = proxy.requests();
    // Each of the 42 log entries once; a checkpoint makes that fewer.
    assert!(fresh.len() <= 42 + 6, "{}: {fresh:#?}", fresh.len());
}
