/** For transcripts recorded without the RPC behind them: our RPC server in front of an agent that has the members the transcript shows. */
import { formatEndpoint } from "../../src/base/endpoint.ts";
import { LogHub } from "../../src/io/log-hub.ts";
import { startRpcServer } from "../../src/io/rpc-server.ts";
import type { MemberStatus } from "../../src/serf/types.ts";
import { FakeAgent, fakeMember } from "../support/fake-agent.ts";
import type { Cleanup } from "../support/temp-dir.ts";

interface PrintedMember {
  readonly name: string;
  readonly addr: string;
  readonly port: number;
  readonly tags: Readonly<Record<string, string>>;
  readonly status: MemberStatus;
  readonly protocol: { readonly max: number; readonly min: number; readonly version: number };
}

/** Address of the server; `json` is what `members -format=json` printed. */
export async function startMembersServer(json: string, authKey: string, t: Cleanup): Promise<string> {
  const { members } = JSON.parse(json) as { readonly members: readonly PrintedMember[] | null };
  const agent = new FakeAgent(
    (members ?? []).map(({ name, addr, port, tags, status, protocol }) => ({
      ...fakeMember(name, { ip: addr.slice(0, addr.lastIndexOf(":")).replace(/^\[(.*)\]$/, "$1"), port, tags, status }),
      delegateMax: protocol.max,
      delegateMin: protocol.min,
      delegateCur: protocol.version,
    })),
  );
  const server = await startRpcServer({ agent, listen: { ip: "127.0.0.1", port: 0 }, authKey, logs: new LogHub() });
  t.after(() => server.close());
  return formatEndpoint(server.address);
}
