// The whole of Hydrogen, mounted as its own application mounts it.

import { Platform, RootViewModel, createNavigation, createRouter, FeatureSet } from "hydrogen-view-sdk";

const assetPaths = {
    downloadSandbox: "assets/download-sandbox.html",
    worker: "assets/main.js",
    olm: { wasm: "olm.wasm", wasmBundle: "olm.js", legacyBundle: "olm_legacy.js" },
    // It puts the token on requests for media, which an <img> cannot.
    serviceWorker: "sw.js",
};
const homeserver = new URLSearchParams(location.search).get("homeserver");
const platform = new Platform({
    container: document.body,
    assetPaths,
    config: { defaultHomeServer: homeserver, themeManifests: [] },
    options: { development: false },
});
await platform.init();
const navigation = createNavigation();
platform.setNavigation(navigation);
const urlRouter = createRouter({ navigation, history: platform.history });
urlRouter.attach();
const features = await FeatureSet.load(platform.settingsStorage);
const root = new RootViewModel({ platform, urlRouter, navigation, features });
await root.load();
platform.createAndMountRootView(root);
