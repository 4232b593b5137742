// Builds the page into ../internal/webui/dist, from where `go build` embeds it. With --tests it bundles the unit tests
// into .test/ instead, for node's own test runner; with --watch it rebuilds the page at each change.
//
// The scripts and styles carry a hash of their content in their names, so the server may let browsers keep them for
// ever; index.html names them and is never kept without asking.
import { context, build } from "esbuild";
import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { basename, dirname, join, relative } from "node:path";
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

// licences of the packages that are in a bundle stand at the head of it, as they ask for.
async function licences(metafile) {
  const names = new Set();
  for (const f of Object.keys(metafile.inputs)) {
    const [, name] = f.match(/node_modules\/((?:@[^/]+\/)?[^/]+)\/(?!.*node_modules\/)/) ?? [];
    if (name) names.add(name);
  }
  const texts = [...names].sort().map(async (name) => {
    const folder = join(here, "node_modules", name);
    const file = (await readdir(folder)).find((f) => /^licen[cs]e(\.|$)/i.test(f));
    if (!file) throw new Error(`${name} has no file with its licence`);
    return `/*! ${name}\n\n${(await readFile(join(folder, file), "utf8")).trim()}\n*/`;
  });
  return (await Promise.all(texts)).join("\n");
}

// withLicences are the options of a build with its banner, for which it is made twice.
async function withLicences(options) {
  const { metafile } = await build({ ...options, write: false, plugins: [] });
  return { ...options, banner: { js: await licences(metafile) } };
}

const browser = {
  ...common,
  outdir: join(dist, "assets"),
  entryNames: "[name]-[hash]",
  platform: "browser",
  target: ["chrome123", "firefox124", "safari17.5"],
  minify: true,
  legalComments: "none",
  metafile: true,
};

const tell = (outputs) => {
  for (const [f, o] of Object.entries(outputs)) console.log(`${basename(f).padEnd(28)} ${(o.bytes / 1024).toFixed(1)} KiB`);
};

// editor builds the script that is fetched when a query is written; it returns its address.
async function editor() {
  const options = { ...browser, entryPoints: { editor: "src/editor/editor.ts" }, format: "esm" };
  const { metafile } = await build(await withLicences(options));
  tell(metafile.outputs);
  return `assets/${basename(Object.keys(metafile.outputs)[0])}`;
}

// sources is a hash of all that the page is made of. The tests of the page compare it with the files they find
// (test/e2e/page_test.go: sameSources), since a page of other sources fails in ways that nobody would look for there.
async function sources() {
  const src = (await readdir(join(here, "src"), { recursive: true, withFileTypes: true })).filter((f) => f.isFile());
  const names = src.map((f) => relative(here, join(f.parentPath ?? f.path, f.name)).replaceAll("\\", "/"));
  const hash = createHash("sha256");
  for (const name of [...names, "build.mjs", "package.json", "package-lock.json", "tsconfig.json"].sort()) {
    const bytes = await readFile(join(here, name));
    hash.update(`${name} ${bytes.length}\n`).update(bytes);
  }
  return hash.digest("hex");
}

// page is an esbuild plugin that writes index.html once the names of the other files are known.
const page = (editorAddress) => ({
  name: "page",
  setup(b) {
    b.onEnd(async ({ metafile, errors }) => {
      if (errors.length > 0) return;
      const outputs = Object.entries(metafile.outputs);
      const named = (ext) => `assets/${basename(outputs.find(([f, o]) => o.entryPoint && f.endsWith(ext))[0])}`;
      const css = `assets/${basename(outputs.find(([f]) => f.endsWith(".css"))[0])}`;
      const html = await readFile(join(here, "src", "index.html"), "utf8");
      await writeFile(
        join(dist, "index.html"),
        html.replace("{{js}}", named(".js")).replace("{{css}}", css).replace("{{editor}}", editorAddress),
      );
      await writeFile(join(dist, "favicon.svg"), await readFile(join(here, "src", "favicon.svg")));
      await writeFile(join(dist, ".sources"), await sources());
      tell(metafile.outputs);
    });
  },
});

async function empty() {
  await mkdir(dist, { recursive: true });
  for (const f of await readdir(dist)) {
    if (f !== ".keep") await rm(join(dist, f), { recursive: true });
  }
}

async function options() {
  await empty();
  const main = { ...browser, entryPoints: { app: "src/main.tsx" }, format: "iife" };
  return { ...(await withLicences(main)), plugins: [page(await editor())] };
}

if (process.argv.includes("--tests")) await tests();
else if (process.argv.includes("--watch")) await (await context(await options())).watch();
else await build(await options());
