// The host: shows the app of a server in a sandboxed frame, with the policy that the extension
// demands, through the host's own library. Node has what is asked for: window.called.
import { AppBridge, PostMessageTransport } from "@modelcontextprotocol/ext-apps/app-bridge";

const policy = "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; " +
  "img-src 'self' data:; media-src 'self' data:; connect-src 'none'";

window.open_ = async (html, { serverTools, theme }) => {
  const frame = document.createElement("iframe");
  frame.setAttribute("sandbox", "allow-scripts");
  frame.style.cssText = "border:0;width:100%;height:400px;display:block";
  document.body.replaceChildren(frame);
  document.body.style.cssText = `margin:0;background:${theme === "dark" ? "#16181d" : "#fff"}`;
  const bridge = new AppBridge(null, { name: "test", version: "1" }, serverTools ? { serverTools: {} } : {},
    { hostContext: { theme, displayMode: "inline" } });
  bridge.oncalltool = (params) => window.called(params);
  bridge.onsizechange = ({ height }) => { frame.style.height = height + "px"; };
  const ready = new Promise((resolve) => { bridge.oninitialized = resolve; });
  await bridge.connect(new PostMessageTransport(frame.contentWindow, frame.contentWindow));
  frame.srcdoc = html.replace("<meta charset", `<meta http-equiv="Content-Security-Policy" content="${policy}"><meta charset`);
  await ready;
  window.bridge = bridge;
};
window.give = (result) => window.bridge.sendToolResult(result);
