//! Every test runs on the local disk and on a real S3 server, unless it is about one of them.

#![allow(clippy::unwrap_used)]

mod engine;
mod faults;
mod lake;
mod notes;
mod proxy;
mod readers;
mod requests;
mod tables;
mod upkeep;
mod writers;

use lake::Lake;

/// Makes two tests of each function that takes a [`Lake`].
macro_rules! everywhere {
    ($($test:ident),+ $(,)?) => {
        mod on_local_disk {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $test() {
                super::$test(crate::tests::Lake::local()).await;
            })+
        }
        mod on_s3 {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $test() {
                super::$test(crate::tests::Lake::on_s3()).await;
            })+
        }
    };
}
use everywhere;
