//! Buckets of an S3 server.

use std::{sync::Arc, time::Duration};

use object_store::{
    BackoffConfig, Certificate, ClientOptions, ObjectStore, RetryConfig,
    aws::{AmazonS3Builder, S3ConditionalPut},
};

use crate::{LocationError, S3Config};

/// The root of a bucket. Nothing is asked of the server yet.
pub(crate) fn bucket(name: &str, config: &S3Config) -> Result<Arc<dyn ObjectStore>, LocationError> {
    let bad = |reason: String| LocationError::BadRoot {
        path: format!("s3://{name}"),
        reason,
    };
    let store = builder(name, config)
        .map_err(bad)?
        .build()
        .map_err(|failure| bad(failure.to_string()))?;
    Ok(Arc::new(store))
}

fn builder(name: &str, config: &S3Config) -> Result<AmazonS3Builder, String> {
    // Keys of the settings are not mixed with a session token or an endpoint of the environment.
    let mut builder = match config.access_key_id.as_str() {
        "" => AmazonS3Builder::from_env(),
        key => AmazonS3Builder::new()
            .with_access_key_id(key)
            .with_secret_access_key(config.secret_access_key.expose()),
    };
    if !config.session_token.is_empty() {
        builder = builder.with_token(config.session_token.expose());
    }
    if !config.region.is_empty() {
        builder = builder.with_region(&config.region);
    }
    if !config.endpoint.is_empty() {
        builder = builder.with_endpoint(endpoint(name, config)?);
    }
    Ok(builder
        .with_bucket_name(name)
        .with_virtual_hosted_style_request(config.virtual_hosted_style)
        // A commit is a conditional PUT: of two writers of a version one wins.
        .with_conditional_put(S3ConditionalPut::ETagMatch)
        .with_client_options(client(config)?)
        .with_retry(retries(config)))
}

fn client(config: &S3Config) -> Result<ClientOptions, String> {
    let mut client = ClientOptions::new()
        .with_allow_http(config.allow_http)
        .with_timeout(config.timeout.as_std())
        .with_connect_timeout(config.connect_timeout.as_std());
    if let Some(file) = &config.ca_file {
        let describe = |reason: String| format!("ca_file {}: {reason}", file.display());
        let pem = std::fs::read(file).map_err(|failure| describe(failure.to_string()))?;
        let authorities = Certificate::from_pem_bundle(&pem).map_err(|failure| describe(failure.to_string()))?;
        for authority in authorities {
            client = client.with_root_certificate(authority);
        }
    }
    Ok(client)
}

fn retries(config: &S3Config) -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig {
            init_backoff: Duration::from_millis(100),
            max_backoff: Duration::from_secs(2),
            base: 2.0,
        },
        max_retries: config.retries,
        retry_timeout: config.retry_timeout.as_std(),
    }
}

/// The driver wants the bucket's own host when the bucket is to be named there.
fn endpoint(bucket: &str, config: &S3Config) -> Result<String, String> {
    let wrong = || {
        format!(
            "`{}` is no endpoint: expected one such as https://s3.example.com",
            config.endpoint
        )
    };
    let url = url::Url::parse(&config.endpoint).map_err(|_| wrong())?;
    let host = url.host_str().ok_or_else(wrong)?;
    match (url.scheme(), config.allow_http) {
        ("https", _) | ("http", true) => {}
        ("http", false) => return Err(format!("`{}` needs `allow_http = true`", config.endpoint)),
        _ => return Err(wrong()),
    }
    if !config.virtual_hosted_style || host.starts_with(&format!("{bucket}.")) {
        return Ok(config.endpoint.trim_end_matches('/').to_owned());
    }
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    Ok(format!("{}://{bucket}.{host}{port}", url.scheme()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(endpoint: &str) -> S3Config {
        S3Config {
            endpoint: endpoint.to_owned(),
            access_key_id: "key".to_owned(),
            secret_access_key: forebay_storage::Secret::new("s3cret"),
            ..S3Config::default()
        }
    }

    #[test]
    fn the_bucket_is_named_in_the_path_or_in_the_host() {
        let hosted = S3Config {
            virtual_hosted_style: true,
            ..config("https://s3.example.com:9000")
        };
        assert_eq!(endpoint("b", &hosted).as_deref(), Ok("https://b.s3.example.com:9000"));
        let already = S3Config {
            endpoint: "https://b.example.com".to_owned(),
            ..hosted
        };
        assert_eq!(endpoint("b", &already).as_deref(), Ok("https://b.example.com"));
        assert_eq!(
            endpoint("b", &config("https://s3.example.com/")).as_deref(),
            Ok("https://s3.example.com")
        );
    }

    #[test]
    fn wrong_settings_say_so_and_never_the_secret() {
        for (wrong, said) in [
            (config("http://127.0.0.1:9000"), "allow_http"),
            (config("127.0.0.1"), "no endpoint"),
            (config("ftp://x"), "no endpoint"),
            (
                S3Config {
                    ca_file: Some("/nonexistent.pem".into()),
                    ..config("")
                },
                "/nonexistent.pem",
            ),
        ] {
            let error = bucket("b", &wrong).expect_err("refused").to_string();
            assert!(error.contains(said) && !error.contains("s3cret"), "{error}");
        }
        assert!(!format!("{:?}", config("")).contains("s3cret"));
        bucket("b", &config("")).expect("Amazon's own");
    }
}
