//! What the SDK asks before anybody logs in.

use matrix_sdk::{authentication::oauth::error::OAuthDiscoveryError, ruma::api::MatrixVersion};

use crate::{device::client, facts::Facts, stage::Stage};

/// States the facts.
pub async fn play(stage: &Stage, facts: &Facts) -> anyhow::Result<()> {
    let client = client(stage).await?;
    let versions = client.server_versions().await?;
    facts.check(
        "finds the specification with authenticated media",
        versions.contains(&MatrixVersion::V1_11),
        &versions,
    );
    let features = client.unstable_features().await?;
    facts.check(
        "discovers sliding sync",
        !client.available_sliding_sync_versions().await.is_empty(),
        &features,
    );
    let flows = client.matrix_auth().get_login_types().await?.flows;
    facts.check(
        "is offered a log-in by password",
        flows.iter().any(|flow| flow.login_type() == "m.login.password"),
        &flows,
    );
    let oauth = client.oauth().server_metadata().await;
    facts.check(
        "is told that there is no OAuth here, and not that something broke",
        matches!(&oauth, Err(OAuthDiscoveryError::NotSupported)),
        oauth.map(|_| "metadata"),
    );
    Ok(())
}
