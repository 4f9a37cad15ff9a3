// node open-cms.mjs FILE PRIVATE_KEY: writes the content, or fails with a status that is not 0.
import { open } from "./cms.mjs";
import { main } from "./main.mjs";

await main(open);
