//! One-time keys claimed per second: each claim is a synced write and hands a key out for good.

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Map, Value, json};

use super::{Bench, figure, register};
use crate::{
    clock,
    load::in_parallel,
    matrix::{Api, User},
    probe::Probes,
    process,
    report::{Bar, Row, median, rounded},
    server::{Durability, Home, Server},
};

/// Claims must reach this share of the slower probe.
const SHARE_OF_PROBE: f64 = 0.3;
/// Devices whose keys are claimed.
const DEVICES: usize = 100;
/// Keys of one upload.
const KEYS_PER_UPLOAD: usize = 50;
/// The size of a probed write when the server's own cannot be seen.
const PROBE_BYTES: usize = 1_024;

/// Uploads keys, then claims them all, over as many connections as there are senders elsewhere.
pub async fn measure(bench: &Bench) -> Result<Vec<Row>> {
    let home = Home::fresh(&bench.folder, Durability::Fsync)?;
    let (server, _) = Server::start(&bench.launch, &home).await?;
    let mut api = Api::anonymous(server.address).await?;
    let devices = Arc::new(register(&mut api, "device", DEVICES).await?);
    let claimer = api.register("claimer").await?;
    let setting = Setting { address: server.address, devices, claimer };

    let before = home.log_bytes()?;
    setting.upload(&mut api, (DEVICES, "weigh")).await?;
    let uploaded = home.log_bytes()?;
    setting.claim(bench, DEVICES).await?;
    let grown = home.log_bytes()?.saturating_sub(uploaded);
    // A log that was begun anew does not show what was added to it.
    let weight = if uploaded > before { usize::try_from(grown)? / DEVICES } else { 0 };
    let mut probes = Probes::new(if weight == 0 { PROBE_BYTES } else { weight });

    let (mut per_second, mut cpu_s) = (Vec::new(), 0.0);
    for round in 0..bench.scale.rounds {
        setting.upload(&mut api, (bench.scale.claims, &format!("r{round}"))).await?;
        probes.sample(&bench.folder, bench.scale.probe)?;
        let cpu = process::cpu_seconds(server.pid())?;
        let took_s = setting.claim(bench, bench.scale.claims).await?;
        cpu_s += process::cpu_seconds(server.pid())? - cpu;
        per_second.push(figure(u64::try_from(bench.scale.claims)?) / took_s);
    }
    server.stop().await?;
    let claims = figure(u64::try_from(bench.scale.claims.saturating_mul(bench.scale.rounds))?);
    let row = Row::new("one-time keys claimed", "claims/s", per_second)
        .with_bar(Bar::at_least(SHARE_OF_PROBE * probes.slower(), "0.3 × the slower probe"))
        .with("claims", bench.scale.claims)
        .with("server_us_per_claim", rounded(cpu_s * 1e6 / claims))
        .with("probe_bytes", probes.bytes_per_operation)
        .with("append_fdatasync_per_s", rounded(median(&probes.append_fdatasync_per_s)))
        .with("rocksdb_batch_per_s", rounded(median(&probes.rocksdb_batch_per_s)));
    Ok(vec![row])
}

struct Setting {
    address: SocketAddr,
    devices: Arc<Vec<User>>,
    claimer: User,
}

impl Setting {
    /// So many keys in all, the same number for each device.
    async fn upload(&self, api: &mut Api, (keys, tag): (usize, &str)) -> Result<()> {
        let each = keys.div_ceil(self.devices.len().max(1));
        for device in self.devices.iter() {
            api.speak_for(device);
            let mut number = 0;
            while number < each {
                let next = each.min(number + KEYS_PER_UPLOAD);
                let keys: Map<String, Value> =
                    (number..next).map(|number| one_time_key(device, tag, number)).collect();
                let body = json!({ "one_time_keys": keys });
                api.json("POST", "/_matrix/client/v3/keys/upload", &body).await?;
                number = next;
            }
        }
        Ok(())
    }

    /// Claims so many keys, one with each request; how many seconds that took. No key may be handed
    /// out twice.
    async fn claim(&self, bench: &Bench, claims: usize) -> Result<f64> {
        let next = Arc::new(AtomicUsize::new(0));
        let started = clock::now();
        let claimed = in_parallel(bench.scale.senders, 0..bench.scale.senders, |_| {
            let (next, devices) = (Arc::clone(&next), Arc::clone(&self.devices));
            let (address, claimer) = (self.address, self.claimer.clone());
            async move {
                let mut api = Api::of(address, &claimer).await?;
                let mut keys = Vec::new();
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= claims {
                        return Ok(keys);
                    }
                    let device = devices.get(number % devices.len().max(1)).context("no device")?;
                    keys.push(claim(&mut api, device).await?);
                }
            }
        });
        let claimed = claimed.await?;
        let took_s = started.elapsed().as_secs_f64();
        let distinct: BTreeSet<String> = claimed.into_iter().flatten().collect();
        ensure!(distinct.len() == claims, "{} keys for {claims} claims", distinct.len());
        Ok(took_s)
    }
}

/// A key as a client uploads it. The signature is as long as a real one; only devices check it.
fn one_time_key(device: &User, tag: &str, number: usize) -> (String, Value) {
    let key = format!("{tag:>8}{number:>035}").replace(' ', "A");
    let signed = json!({ &device.id: { format!("ed25519:{}", device.device): "s".repeat(86) } });
    (format!("signed_curve25519:{tag}{number}"), json!({ "key": key, "signatures": signed }))
}

/// Claims a key of a device; its name, with the device's.
async fn claim(api: &mut Api, device: &User) -> Result<String> {
    let wanted = json!({ &device.device: "signed_curve25519" });
    let body = json!({ "one_time_keys": { &device.id: wanted }, "timeout": 10_000 });
    let answer = api.json("POST", "/_matrix/client/v3/keys/claim", &body).await?;
    let keys = answer.get("one_time_keys").and_then(|users| users.get(&device.id));
    let keys = keys.and_then(|devices| devices.get(&device.device)).and_then(Value::as_object);
    let name = keys.and_then(|keys| keys.keys().next()).context("no key was handed out")?;
    Ok(format!("{} {name}", device.id))
}
