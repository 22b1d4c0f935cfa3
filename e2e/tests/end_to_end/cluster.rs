//! The suite in Kubernetes, on a cluster of its own: `cargo xtask cluster`.

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs root, containerd and images: `cargo xtask cluster`"]
async fn cluster() {
    let parts = std::env::var("FOREBAY_CLUSTER").unwrap_or_default();
    let parts: Vec<_> = parts
        .split(',')
        .filter(|part| !part.is_empty())
        .map(str::to_owned)
        .collect();
    let keep = std::env::var_os("FOREBAY_CLUSTER_KEEP").is_some();
    forebay_e2e::cluster::plays(&parts, keep).await;
}
