// Fullstory with a segment that its own MCP server saves during a conversation. The
// sandbox has a fixed list of segments, so the new one has another id and name for one
// of those, and everything else goes to the sandbox.
import { createServer } from "node:http";
import { once } from "node:events";

const original = "rageClicks";
export const saved = {
  id: "f0unDt0day42", name: "Raged at checkout today", creator: "ana@example.com",
  url: "https://app.fullstory.com/ui/SANDBOX/segments/f0unDt0day42",
};

// withSaving serves the API of a sandbox. It returns its URL, save, after which the
// segment exists, and close.
export async function withSaving(api) {
  let exists = false;
  const server = createServer(async (request, response) => {
    let body = "";
    for await (const part of request.setEncoding("utf8")) body += part;
    body = body.replace(saved.id, original);
    if (request.url === `/segments/v1/${saved.id}` && exists) return answer(response, 200, saved);
    const { authorization, "content-type": type = "application/json" } = request.headers;
    const sent = { method: request.method, headers: { authorization, "content-type": type }, body: body || undefined };
    const got = await fetch(api + request.url, sent);
    const content = await got.json();
    if (content.segments && exists) content.segments.unshift(saved);
    answer(response, got.status, content);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    save: () => (exists = true),
    close: () => server.close(),
  };
}

function answer(response, status, content) {
  response.writeHead(status, { "Content-Type": "application/json" }).end(JSON.stringify(content));
}
