import { testLifeOfACluster } from "./life-of-a-cluster.ts";

testLifeOfACluster("plain and compressed", []);
testLifeOfACluster("plain and uncompressed", ["-disable-compression"]);
