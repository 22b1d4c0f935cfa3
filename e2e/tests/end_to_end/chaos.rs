//! The long one, on servers of its own: `cargo xtask chaos`.

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes half an hour: `cargo xtask chaos`"]
async fn chaos() {
    let parts = std::env::var("FOREBAY_CHAOS").unwrap_or_default();
    let parts: Vec<_> = parts
        .split(',')
        .filter(|part| !part.is_empty())
        .map(str::to_owned)
        .collect();
    forebay_e2e::chaos::plays(&parts).await;
}
