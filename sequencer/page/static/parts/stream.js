// An OpenAI-compatible endpoint, asked with streaming: events of a body as they come.

/** JSON documents of a stream of server-sent events, until [DONE] or its end. Lines may be cut anywhere. */
export async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    rest += value ?? "";
    const lines = rest.split(/\r?\n/);
    rest = done ? "" : lines.pop();
    for (const line of lines) {
      if (!line.startsWith("data:")) continue;
      const data = line.slice(5).trim();
      if (data === "[DONE]") return;
      if (data) yield JSON.parse(data);
    }
    if (done) return;
  }
}

/** The sentence of an answer that is an error. */
export async function refusal(response) {
  const said = await response.json().catch(() => ({}));
  return said.error?.message ?? said.detail ?? `The endpoint answered ${response.status}.`;
}
