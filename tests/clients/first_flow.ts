// The README's first flow with types made by openapi-typescript and calls by openapi-fetch: first_flow.js URL OPERATOR_KEY.
import createClient from "openapi-fetch";
import type { paths } from "./waybill.js";

declare const process: { argv: string[]; exit(code: number): never };

const [url, operatorKey] = process.argv.slice(2) as [string, string];
const clientOf = (key: string) =>
  createClient<paths>({ baseUrl: url, headers: { Authorization: `Bearer ${key}` } });
const known = <T>(answer: { data?: T; error?: unknown }): T => {
  if (answer.data === undefined) throw new Error(JSON.stringify(answer.error));
  return answer.data;
};

const made = known(await clientOf(operatorKey).POST("/v1/tenants", {
  body: {
    name: "Nord", edition: "enterprise", tenant_class: "general", retention: { default_days: 30 },
    controller: { legal_name: "Nord GmbH", country: "DE", contact: "privacy@nord.example" },
  },
}));
const tenant = clientOf(made.key.secret);
const source = known(await tenant.POST("/v1/sources", {
  body: { channel: "telegram", name: "shop bot", secret: { secret_token: "s3cret" }, subject_country: "DE", special: [] },
}));
for (const kind of ["instruction", "contract"] as const)
  known(await tenant.POST("/v1/bases", {
    body: { kind, valid_from: "2026-01-01", valid_until: null, evidence: `sha256:${"9f".repeat(32)}` },
  }));
await fetch(source.url as string, {
  method: "POST",
  headers: { "Content-Type": "application/json", "X-Telegram-Bot-Api-Secret-Token": "s3cret" },
  body: JSON.stringify({
    update_id: 1,
    message: {
      message_id: 1, date: Math.floor(Date.now() / 1000), text: "Where is my parcel?",
      chat: { id: 100, type: "private" }, from: { id: 100, is_bot: false, first_name: "Mira" },
    },
  }),
});
for (let tries = 0; tries < 300; tries++) {
  const page = known(await tenant.GET("/v1/events", { params: { query: { limit: 1, kind: "message" } } }));
  if (page.data[0] !== undefined) {
    console.log(page.data[0].message?.text);
    process.exit(0);
  }
  await new Promise((done) => setTimeout(done, 200));
}
process.exit(1);
