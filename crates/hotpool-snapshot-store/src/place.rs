//! Where a store is: its URL, the client that reaches it, and the names of its objects.

use crate::error::StoreError;
use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{BackoffConfig, ClientOptions, Error, ObjectStore, ObjectStoreScheme, RetryConfig};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// How a store is reached.
#[derive(Clone, Debug)]
pub struct Settings {
    /// No request is repeated after this time.
    patience: Duration,
    /// Settings that stand above those of the environment.
    options: Vec<(String, String)>,
}

impl Default for Settings {
    /// Returns a patience of 20 s, and no options.
    fn default() -> Self {
        Settings { patience: Duration::from_secs(20), options: Vec::new() }
    }
}

impl Settings {
    /// Repeats failed requests for this long. A single request may take as long, and at least 1 s.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Sets an option, which otherwise comes from the variable of the same name, such as
    /// `AWS_ENDPOINT_URL`.
    #[must_use]
    pub fn option(mut self, name: &str, value: &str) -> Self {
        self.options.push((name.to_ascii_lowercase(), value.into()));
        self
    }

    fn retries(&self) -> RetryConfig {
        let backoff = BackoffConfig {
            init_backoff: Duration::from_millis(100),
            max_backoff: Duration::from_secs(5),
            base: 2.0,
        };
        RetryConfig { backoff, max_retries: 20, retry_timeout: self.patience }
    }

    /// Returns the settings of a client, which uses plain HTTP if the server has such a URL.
    fn client(&self, endpoint: &str) -> ClientOptions {
        let given = self.options.iter().rfind(|(name, _)| name == endpoint).map(|(_, value)| value.clone());
        let given = given.or_else(|| std::env::var(endpoint.to_ascii_uppercase()).ok());
        let is_plain = given.is_some_and(|url| url.starts_with("http://"));
        let request = self.patience.max(Duration::from_secs(1));
        ClientOptions::new()
            .with_timeout(request)
            .with_connect_timeout(request.min(Duration::from_secs(5)))
            .with_allow_http(is_plain)
    }
}

/// A store that can be reached.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) objects: Arc<dyn ObjectStore>,
    prefix: Path,
    url: String,
    /// Variables of the environment that the store reads.
    variables: &'static str,
    /// The folder of a store in files.
    pub(crate) folder: Option<PathBuf>,
}

const AWS: &str =
    "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_REGION, or AWS_ENDPOINT_URL for a server of your own";
const GOOGLE: &str = "GOOGLE_APPLICATION_CREDENTIALS or GOOGLE_SERVICE_ACCOUNT";
const AZURE: &str = "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY";
const FILES: &str = "the permissions of the folder";

fn amazon(url: &str, settings: &Settings) -> Result<Arc<dyn ObjectStore>, Error> {
    let mut built = AmazonS3Builder::from_env().with_url(url).with_retry(settings.retries());
    built = built.with_client_options(settings.client("aws_endpoint_url"));
    for (name, value) in &settings.options {
        built = built.with_config(name.parse()?, value);
    }
    Ok(Arc::new(built.build()?))
}

fn google(url: &str, settings: &Settings) -> Result<Arc<dyn ObjectStore>, Error> {
    let mut built = GoogleCloudStorageBuilder::from_env().with_url(url).with_retry(settings.retries());
    built = built.with_client_options(settings.client("google_base_url"));
    for (name, value) in &settings.options {
        built = built.with_config(name.parse()?, value);
    }
    Ok(Arc::new(built.build()?))
}

fn azure(url: &str, settings: &Settings) -> Result<Arc<dyn ObjectStore>, Error> {
    let mut built = MicrosoftAzureBuilder::from_env().with_url(url).with_retry(settings.retries());
    built = built.with_client_options(settings.client("azure_storage_endpoint"));
    for (name, value) in &settings.options {
        built = built.with_config(name.parse()?, value);
    }
    Ok(Arc::new(built.build()?))
}

impl Place {
    pub(crate) fn open(text: &str, settings: &Settings) -> Result<Place, StoreError> {
        let refused = |why: String| StoreError::Url { url: text.into(), why };
        let url = Url::parse(text).map_err(|error| refused(error.to_string()))?;
        let (scheme, prefix) = ObjectStoreScheme::parse(&url).map_err(|error| refused(error.to_string()))?;
        // The second call finds one already installed, as does a program with its own.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (built, variables) = match scheme {
            ObjectStoreScheme::Local => {
                let files: Arc<dyn ObjectStore> = Arc::new(LocalFileSystem::new().with_fsync(true));
                (Ok(files), FILES)
            }
            ObjectStoreScheme::AmazonS3 => (amazon(text, settings), AWS),
            ObjectStoreScheme::GoogleCloudStorage => (google(text, settings), GOOGLE),
            ObjectStoreScheme::MicrosoftAzure => (azure(text, settings), AZURE),
            _ => return Err(refused(format!("`{}` is no scheme of a store", url.scheme()))),
        };
        let lacking =
            |error: Error| StoreError::Environment { url: text.into(), source: error.into(), variables };
        let objects = built.map_err(lacking)?;
        let folder = matches!(scheme, ObjectStoreScheme::Local).then(|| url.to_file_path().ok()).flatten();
        Ok(Place { objects, prefix, url: text.trim_end_matches('/').into(), variables, folder })
    }

    /// Returns the URL.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Returns what all names of objects begin with.
    pub(crate) fn prefix(&self) -> &Path {
        &self.prefix
    }

    /// Returns the name of the object whose name below the prefix is `name`.
    pub(crate) fn key(&self, name: &str) -> Path {
        let under = |prefix: Path, part: &str| prefix.join(part);
        name.split('/').fold(self.prefix.clone(), under)
    }

    /// Returns the URL of an object, for messages.
    pub(crate) fn shown(&self, name: &str) -> String {
        if name.is_empty() { self.url.clone() } else { format!("{}/{name}", self.url) }
    }

    /// Turns the error of a call into one that says what to do.
    pub(crate) fn failed(&self, call: &'static str, name: &str, error: Error) -> StoreError {
        let (key, variables) = (self.shown(name), self.variables);
        match error {
            Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => {
                StoreError::Denied { call, key, source: error.into(), variables }
            }
            Error::NotFound { .. } => StoreError::Absent { call, key, source: error.into() },
            Error::NotSupported { .. } | Error::NotImplemented { .. } => {
                StoreError::Unsupported { call, key, source: error.into() }
            }
            // The errors of a listing have no kind of their own.
            Error::Generic { .. } => match status(&error) {
                Some(401 | 403) => StoreError::Denied { call, key, source: error.into(), variables },
                Some(404) => StoreError::Absent { call, key, source: error.into() },
                _ => StoreError::Unreachable { call, key, source: error.into(), variables },
            },
            _ => StoreError::Unreachable { call, key, source: error.into(), variables },
        }
    }
}

/// Returns the status of the answer that an error is about.
fn status(error: &Error) -> Option<u16> {
    let text = error.to_string();
    let (_, rest) = text.split_once("status code: ")?;
    rest.get(..3)?.parse().ok()
}
