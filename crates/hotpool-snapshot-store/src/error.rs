//! The reasons why a store refuses.

use hotpool::snapshot::SetError;
use std::error::Error;
use std::path::PathBuf;

/// What an object store or a system call said.
type Cause = Box<dyn Error + Send + Sync + 'static>;

/// The reason why sets cannot be sent, listed or brought.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The URL is none of a store.
    #[error(
        "`{url}` is no store: {why}; write s3://BUCKET/PREFIX, gs://BUCKET/PREFIX, az://CONTAINER/PREFIX or file:///FOLDER"
    )]
    Url {
        /// The URL.
        url: String,
        /// What is wrong with it.
        why: String,
    },
    /// The environment lacks what the store needs.
    #[error("cannot open the store {url}: {source}; set {variables}")]
    Environment {
        /// The URL.
        url: String,
        /// What is wrong.
        source: Cause,
        /// The variables to set.
        variables: &'static str,
    },
    /// The store refused the credentials.
    #[error("the store refuses to {call} {key}: {source}; check {variables}")]
    Denied {
        /// What was tried.
        call: &'static str,
        /// URL of the object.
        key: String,
        /// What the store said.
        source: Cause,
        /// The variables with the credentials.
        variables: &'static str,
    },
    /// The store cannot be reached, or failed.
    #[error("cannot {call} {key}: {source}; check that the store runs, and {variables}; then try again")]
    Unreachable {
        /// What was tried.
        call: &'static str,
        /// URL of the object.
        key: String,
        /// What failed.
        source: Cause,
        /// The variables that say where the store is.
        variables: &'static str,
    },
    /// The bucket or the object does not exist.
    #[error("cannot {call} {key}: it does not exist ({source})")]
    Absent {
        /// What was tried.
        call: &'static str,
        /// URL of the object.
        key: String,
        /// What the store said.
        source: Cause,
    },
    /// The store cannot do what is needed.
    #[error("cannot {call} {key}: {source}")]
    Unsupported {
        /// What was tried.
        call: &'static str,
        /// URL of the object.
        key: String,
        /// What the store said.
        source: Cause,
    },
    /// The store has no set of the process.
    #[error("{url} has no snapshot of the process {process}; `hotpool snapshots {url}` lists what it has")]
    NoSet {
        /// URL of the store.
        url: String,
        /// The process.
        process: String,
    },
    /// A set in the store is damaged.
    #[error("{key}: {why}; take an older set")]
    Damaged {
        /// URL of the object.
        key: String,
        /// What is wrong with it.
        why: String,
    },
    /// A set builds on one that the store does not have.
    #[error("{key} builds on the set {parent}, which is not in the store; take an older set")]
    NoParent {
        /// URL of the set.
        key: String,
        /// Identity of the missing set.
        parent: String,
    },
    /// The token of a process is damaged.
    #[error("{key} cannot be read: {why}; if no server runs, remove it from the store")]
    Token {
        /// URL of the object.
        key: String,
        /// What is wrong with it.
        why: String,
    },
    /// Another owner holds the token of the process.
    #[error(
        "the pool of {process} belongs to {owner}; stop that server first, or take it over with `hotpool fence take {url} {process} --force`"
    )]
    Owned {
        /// URL of the store.
        url: String,
        /// The process.
        process: String,
        /// The owner, since when and until when.
        owner: String,
    },
    /// This process no longer holds the token, or cannot tell.
    #[error("no snapshot of {process} is sent: {why}")]
    Lost {
        /// The process.
        process: String,
        /// Who has it.
        why: String,
    },
    /// The store cannot write an object only if it did not change.
    #[error(
        "the store {url} has no conditional writes, so it cannot keep two hosts from owning one pool; use one that has: S3 since 2024, Google Cloud Storage, Azure, MinIO, or a folder"
    )]
    Unconditional {
        /// URL of the store.
        url: String,
    },
    /// The names of objects cannot keep the name of the process.
    #[error(
        "the process `{process}` cannot have a token: its name must have only letters, digits, `-`, `_` and `.`, and not begin with `.`"
    )]
    Name {
        /// The process.
        process: String,
    },
    /// The set is of another process than the token.
    #[error("the set is of the process {found}, and the token of {process}")]
    OtherProcess {
        /// The process of the token.
        process: String,
        /// The process of the set.
        found: String,
    },
    /// Old sets cannot be dropped, because it is unknown which of them another set needs.
    #[error("no set is dropped, because {key} may need it: {why}")]
    Needed {
        /// URL of the set.
        key: String,
        /// Why its manifest cannot be read.
        why: String,
    },
    /// The local set cannot be read, or the local folder not be written.
    #[error(transparent)]
    Set(#[from] SetError),
    /// The system refused a call on a local file.
    #[error("cannot {call} {}: {source}", .path.display())]
    System {
        /// What was tried.
        call: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The reason of the system.
        source: std::io::Error,
    },
}

/// Returns a function that turns a refusal of the system into an error.
pub(crate) fn system<'a>(
    call: &'static str,
    path: &'a std::path::Path,
) -> impl FnOnce(std::io::Error) -> StoreError + 'a {
    move |source| StoreError::System { call, path: path.to_path_buf(), source }
}
