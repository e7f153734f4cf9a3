import { testLifeOfACluster } from "./life-of-a-cluster.ts";

const KEY = Buffer.alloc(32, 7).toString("base64");

testLifeOfACluster("encrypted and compressed", [`-encrypt=${KEY}`]);
testLifeOfACluster("encrypted and uncompressed", [`-encrypt=${KEY}`, "-disable-compression"]);
