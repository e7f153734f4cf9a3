import assert from "node:assert/strict";
import { test } from "node:test";
import { decodeConfig } from "../../../../src/cli/serf/config/decode.ts";

/** File text and the original's message after `Error decoding 'c.json': `, recorded from it; "" when it accepts the file. */
const RECORDED: readonly (readonly [string | Uint8Array, string])[] = [
  ["{}", ""],
  ["", "EOF"],
  ["   ", "EOF"],
  ["[]", "'' expected a map, got 'slice'"],
  ['"x"', "'' expected a map, got 'string'"],
  ["1", "'' expected a map, got 'float64'"],
  ["null", ""],
  ["true", "'' expected a map, got 'bool'"],
  ["nul", "unexpected EOF"],
  ['{"a"', "unexpected EOF"],
  ['{"node_name" 1}', "invalid character '1' after object key"],
  ['{"node_name":}', "invalid character '}' looking for beginning of value"],
  ['{"node_name":"x",}', "invalid character '}' looking for beginning of object key string"],
  ['{"node_name":"x"} trailing', ""],
  ['{node_name:"x"}', "invalid character 'n' looking for beginning of object key string"],
  ["{'a':1}", "invalid character '\\'' looking for beginning of object key string"],
  ['{"node_name":"x', "unexpected EOF"],
  ['{"node_name":1.5}', "1 error(s) decoding:\n\n* 'node_name' expected type 'string', got unconvertible type 'float64', value: '1.5'"],
  ['{"node_name":true}', "1 error(s) decoding:\n\n* 'node_name' expected type 'string', got unconvertible type 'bool', value: 'true'"],
  ['{"node_name":null}', ""],
  ['{"node_name":["a"]}', "1 error(s) decoding:\n\n* 'node_name' expected type 'string', got unconvertible type '[]interface {}', value: '[a]'"],
  ['{"node_name":{}}', "1 error(s) decoding:\n\n* 'node_name' expected type 'string', got unconvertible type 'map[string]interface {}', value: 'map[]'"],
  ['{"protocol":5.5}', ""],
  ['{"rejoin_after_leave":1}', "1 error(s) decoding:\n\n* 'rejoin_after_leave' expected type 'bool', got unconvertible type 'float64', value: '1'"],
  ['{"tags":[]}', "1 error(s) decoding:\n\n* 'tags' expected a map, got 'slice'"],
  ['{"tags":{"a":true,"b":null}}', "1 error(s) decoding:\n\n* 'tags[a]' expected type 'string', got unconvertible type 'bool', value: 'true'"],
  ['{"event_handlers":"x"}', "1 error(s) decoding:\n\n* 'event_handlers': source data must be an array or slice, got string"],
  ['{"event_handlers":[null]}', ""],
  [
    '{"start_join":[1,true]}',
    "2 error(s) decoding:\n\n* 'start_join[0]' expected type 'string', got unconvertible type 'float64', value: '1'\n" +
      "* 'start_join[1]' expected type 'string', got unconvertible type 'bool', value: 'true'",
  ],
  ['{"retry_interval":30}', "1 error(s) decoding:\n\n* 'retry_interval' expected type 'string', got unconvertible type 'float64', value: '30'"],
  ['{"retry_interval":""}', ""],
  ['{"retry_interval":"5"}', 'time: missing unit in duration "5"'],
  ['{"retry_interval":"-5s"}', ""],
  ['{"retry_interval":"s"}', 'time: invalid duration "s"'],
  ['{"retry_interval":"1x"}', 'time: unknown unit "x" in duration "1x"'],
  ['{"retry_interval":"9999999999h"}', 'time: invalid duration "9999999999h"'],
  ['{"retry_interval":"x","tombstone_timeout":"w","broadcast_timeout":"v"}', 'time: invalid duration "w"'],
  ['{"retry_interval":"x","broadcast_timeout":"v"}', 'time: invalid duration "x"'],
  [
    '{"protocol":"x","node_name":3,"zz":1,"b":2}',
    "3 error(s) decoding:\n\n* '' has invalid keys: b, zz\n* 'node_name' expected type 'string', got unconvertible type 'float64', value: '3'\n" +
      "* 'protocol' expected type 'int', got unconvertible type 'string', value: 'x'",
  ],
  [
    '{"protocol":[1,null,"s",{"b":1.5e30,"a":1e-7}]}',
    "1 error(s) decoding:\n\n* 'protocol' expected type 'int', got unconvertible type '[]interface {}', value: '[1 <nil> s map[a:1e-07 b:1.5e+30]]'",
  ],
  ['{"node_name":"x","NODE_NAME":"b"}', "1 error(s) decoding:\n\n* '' has invalid keys: NODE_NAME"],
  [Buffer.from("efbbbf7b7d", "hex"), "invalid character 'ï' looking for beginning of value"],
  [Buffer.from('{"node_name":"\xff"}', "latin1"), ""],
  ['{"node_name":"a\tb"}', "invalid character '\\t' in string literal"],
  ['{"node_name":"\\x"}', "invalid character 'x' in string escape code"],
  ['{"protocol":05}', "invalid character '5' after object key:value pair"],
  ['{"protocol":-}', "invalid character '}' in numeric literal"],
  ['{"protocol":+1}', "invalid character '+' looking for beginning of value"],
  ['{"protocol":1.}', "invalid character '}' after decimal point in numeric literal"],
  ["[1,2", "unexpected EOF"],
];

test("every file is accepted or refused in the original's words", () => {
  for (const [text, error] of RECORDED) {
    const decoded = decodeConfig("c.json", Buffer.from(text));
    assert.equal(decoded.ok ? "" : decoded.error.replace("Error decoding 'c.json': ", ""), error, String(text));
    if (!decoded.ok) for (const hint of decoded.hints) assert.match(hint, /^c\.json: /);
  }
});

test("keys match in any case", () => {
  const decoded = decodeConfig("c.json", Buffer.from('{"NODE_NAME": "x", "Tags": {"a":"b"}, "Retry_Interval": "1m30s", "event_handlers": ["a", null]}'));
  assert.deepEqual(decoded, { ok: true, config: { nodeName: "x", tags: new Map([["a", "b"]]), retryInterval: 90_000, eventHandlers: ["a", ""] } });
});

test("newer keys are understood", () => {
  const decoded = decodeConfig("c.json", Buffer.from('{"mdns": {"interface": "eth0", "disable_ipv6": true}, "validate_node_names": true}'));
  assert.deepEqual(decoded, { ok: true, config: { mdnsInterface: "eth0", mdnsDisableIPv6: true, validateNodeNames: true } });
});

/** Each wrong key gets a line with file, key and accepted form. */
const HINTS: readonly (readonly [string, RegExp])[] = [
  ['{"nodename": "x"}', /^c\.json: nodename: unknown key, did you mean node_name\? It expects a name /],
  ['{"retry-join": []}', /^c\.json: retry-join: unknown key, did you mean retry_join\?/],
  ['{"quux": 1}', /^c\.json: quux: unknown key; known are node_name, role, tags, /],
  ['{"protocol": "five"}', /^c\.json: protocol: expects a whole number from 2 to 5$/],
  ['{"retry_interval": "1 fortnight"}', /^c\.json: retry_interval: expects a duration in quotes such as "30s"/],
  ['{"reconnect_timeout": "-1s"}', /^c\.json: reconnect_timeout: expects a duration/],
  ['{"query_size_limit": -1}', /^c\.json: query_size_limit: expects a number of bytes above 0$/],
  ['{"mdns": {"iface": "x"}}', /^c\.json: mdns\.iface: unknown key; known are interface, disable_ipv4, disable_ipv6$/],
  ['{"mdns": true}', /^c\.json: mdns: expects an object such as /],
  ["{", /^c\.json: expects one JSON object/],
];

test("a refused key is named with its file and the accepted form", () => {
  for (const [text, hint] of HINTS) {
    const decoded = decodeConfig("c.json", Buffer.from(text));
    assert.ok(!decoded.ok, text);
    assert.match(decoded.hints[0] ?? "", hint);
  }
});
