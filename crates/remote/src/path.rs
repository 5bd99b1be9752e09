//! Which path an endpoint of another server has.

use std::{borrow::Cow, collections::BTreeSet};

use ruma::api::{
    MatrixVersion, SupportedVersions,
    path_builder::{PathBuilder, SinglePath, VersionHistory},
};

/// Paths that need to know nothing about the other server: servers do not tell each other which
/// versions of the specification they speak, so the newest stable path is taken.
pub trait RemotePath: PathBuilder {
    /// What the path is chosen by.
    fn newest() -> Self::Input<'static>;
}

impl RemotePath for SinglePath {
    fn newest() -> Self::Input<'static> {}
}

impl RemotePath for VersionHistory {
    fn newest() -> Self::Input<'static> {
        Cow::Owned(SupportedVersions {
            versions: BTreeSet::from([MatrixVersion::V1_18]),
            features: BTreeSet::new(),
        })
    }
}
