// Builds the page into ../internal/webui/dist, from where `go build` embeds it. With --tests it bundles the unit tests
// into .test/ instead, for node's own test runner; with --watch it rebuilds the page at each change.
//
// The scripts and styles carry a hash of their content in their names, so the server may let browsers keep them for
// ever; index.html names them and is never kept without asking.
import { context, build } from "esbuild";
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const dist = join(here, "..", "internal", "webui", "dist");

const common = { absWorkingDir: here, bundle: true, jsx: "automatic", jsxImportSource: "preact", logLevel: "warning" };

async function tests() {
  const out = join(here, ".test");
  await rm(out, { recursive: true, force: true });
  const files = (await readdir(join(here, "test"))).filter((f) => f.endsWith(".test.ts"));
  await build({
    ...common,
    entryPoints: files.map((f) => `test/${f}`),
    outdir: out,
    outExtension: { ".js": ".mjs" },
    platform: "node",
    format: "esm",
    target: "node20",
  });
}

// licences of what is bundled stand at the head of the script, as they ask for.
async function licences() {
  const { dependencies } = JSON.parse(await readFile(join(here, "package.json"), "utf8"));
  const texts = Object.keys(dependencies).map(async (name) => {
    const text = await readFile(join(here, "node_modules", name, "LICENSE"), "utf8");
    return `/*! ${name}\n\n${text.trim()}\n*/`;
  });
  return (await Promise.all(texts)).join("\n");
}

// page is an esbuild plugin that writes index.html once the names of the other files are known.
const page = {
  name: "page",
  setup(b) {
    b.onStart(async () => {
      await mkdir(dist, { recursive: true });
      for (const f of await readdir(dist)) {
        if (f !== ".keep") await rm(join(dist, f), { recursive: true });
      }
    });
    b.onEnd(async ({ metafile, errors }) => {
      if (errors.length > 0) return;
      const outputs = Object.entries(metafile.outputs);
      const named = (ext) => `assets/${basename(outputs.find(([f, o]) => o.entryPoint && f.endsWith(ext))[0])}`;
      const css = `assets/${basename(outputs.find(([f]) => f.endsWith(".css"))[0])}`;
      const html = await readFile(join(here, "src", "index.html"), "utf8");
      await writeFile(join(dist, "index.html"), html.replace("{{js}}", named(".js")).replace("{{css}}", css));
      await writeFile(join(dist, "favicon.svg"), await readFile(join(here, "src", "favicon.svg")));
      for (const [f, o] of outputs) console.log(`${basename(f).padEnd(28)} ${(o.bytes / 1024).toFixed(1)} KiB`);
    });
  },
};

const options = {
  ...common,
  entryPoints: { app: "src/main.tsx" },
  outdir: join(dist, "assets"),
  entryNames: "[name]-[hash]",
  platform: "browser",
  format: "iife",
  target: ["chrome123", "firefox124", "safari17.5"],
  minify: true,
  legalComments: "none",
  banner: { js: await licences() },
  metafile: true,
  plugins: [page],
};

if (process.argv.includes("--tests")) await tests();
else if (process.argv.includes("--watch")) await (await context(options)).watch();
else await build(options);
