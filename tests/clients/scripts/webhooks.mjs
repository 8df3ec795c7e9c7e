// Standard Webhooks' judgement, in JavaScript, of a message that was received.

import { Webhook } from "standardwebhooks";

const { headers, body, secrets } = JSON.parse(process.argv[2]);

function verifies(secret, body) {
  try {
    new Webhook(secret).verify(body, headers);
    return true;
  } catch {
    return false;
  }
}

const [old, renewed, other] = secrets;
const forged = body.replaceAll("completed", "cancelled");
console.log(
  JSON.stringify({
    old: verifies(old, body),
    new: verifies(renewed, body),
    other: verifies(other, body),
    forged: forged !== body && verifies(renewed, forged),
  }),
);
