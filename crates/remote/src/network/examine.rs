//! Finding a server with everything said aloud.

use ruma::ServerName;

use super::{
    Network,
    authority::Authority,
    trace::{Finding, Trace},
    well_known::Fetched,
};

impl Network {
    /// The way to a server up to an open connection, nothing taken from memory but DNS.
    pub(super) async fn find(&self, server: &ServerName) -> Vec<Finding> {
        let trace = Trace::kept();
        let authority = self.found_authority(server, &trace).await;
        let connected = self.connector.connect(&authority, &trace).await;
        let mut findings = trace.take();
        if let Err(error) = connected
            && findings.iter().all(|finding| finding.outcome != super::Outcome::Failed)
        {
            trace.failed("connect", error.to_string());
            findings.extend(trace.take());
        }
        findings
    }

    async fn found_authority(&self, server: &ServerName, trace: &Trace) -> Authority {
        let itself = Authority::of_server(server);
        let Some(host) = self.delegating_host(server) else {
            trace.fine(
                "name",
                format!("{itself} says itself where it leads: no delegation is asked for"),
            );
            return itself;
        };
        match self.delegations.ask_anew(&host).await {
            Fetched::Delegated { to, age } => {
                let hours = age.as_secs() / 3_600;
                trace.fine("well-known", format!("{host} delegates to {to} (for {hours} h)"));
                to
            }
            Fetched::Absent(reason) => {
                trace.fine("well-known", format!("{host} delegates nothing: {reason}"));
                itself
            }
            Fetched::Failed(reason) => {
                trace.notable("well-known", format!("{host} cannot be asked: {reason}"));
                self.delegations.of(&host).await.unwrap_or(itself)
            }
        }
    }
}
