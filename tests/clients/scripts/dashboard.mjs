// The dashboard in a browser: `dashboard.mjs URL CHROMIUM DIRECTORY PARTS…`.
// Pictures go to the directory. Says in lines of JSON what was seen; what went
// wrong in the browser (errors, requests to elsewhere) is told at the end of each
// part.

import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import puppeteer from "puppeteer-core";

const [target, chromium, pictures, ...parts] = process.argv.slice(2);
const home = `${target}/ops/dashboard`;
const AXE = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

const DESKTOP = { width: 1200, height: 800 };
const PHONE = { width: 360, height: 740, deviceScaleFactor: 2, isMobile: true, hasTouch: true };

function say(part, what) {
  process.stdout.write(`${JSON.stringify({ part, ...what })}\n`);
}

/// Calls a tool of the server.
async function call(name, args) {
  const response = await fetch(`${target}/mcp`, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      accept: "application/json, text/event-stream",
      "mcp-protocol-version": "2025-06-18",
    },
    body: JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/call", params: { name, arguments: args } }),
  });
  const { result, error } = await response.json();
  if (error) throw new Error(`${name}: ${error.message}`);
  return result.structuredContent;
}

async function finish(name, task) {
  let told = task;
  while (!told.done) told = await call(`${name}_status`, { task_id: task.task_id, wait_seconds: 20 });
  return told;
}

const browser = await puppeteer.launch({
  executablePath: chromium,
  args: ["--no-sandbox", "--headless=new", "--disable-gpu", "--disable-dev-shm-usage"],
});

/// A page that keeps what goes wrong in it.
async function open(url, { viewport = DESKTOP, features = [] } = {}) {
  const page = await browser.newPage();
  page.wrong = [];
  page.on("console", (message) => {
    if (message.type() === "error" || message.type() === "warn") page.wrong.push(message.text());
  });
  page.on("pageerror", (error) => page.wrong.push(String(error)));
  page.on("dialog", async (dialog) => {
    page.wrong.push(`dialog: ${dialog.message()}`);
    await dialog.dismiss();
  });
  page.on("request", (request) => {
    if (!request.url().startsWith(target)) page.wrong.push(`request: ${request.url()}`);
  });
  await page.setViewport(viewport);
  await page.emulateMediaFeatures(features);
  await page.goto(url, { waitUntil: "load" });
  await page.waitForSelector("main h1");
  return page;
}

async function close(part, page) {
  say(part, { wrong: page.wrong });
  await page.close();
}

const row = (task) => `tr[data-id="${task.task_id}"]`;
const text = (page, selector) => page.$eval(selector, (element) => element.textContent.trim());

function until(page, selector, wanted) {
  const has = (selector, wanted) => document.querySelector(selector)?.textContent.includes(wanted);
  return page.waitForFunction(has, {}, selector, wanted);
}

/// Waits until a picture would show what is there: nothing moves any more.
async function picture(page, name, fullPage = true) {
  await page.evaluate(() => Promise.all(document.getAnimations().map((it) => it.finished.catch(() => {}))));
  await page.screenshot({ path: `${pictures}/${name}.png`, fullPage });
}

/// What a program finds wrong for people who see or move otherwise.
async function accessible(part, page, name) {
  // As the tests' own tool: the page's policy allows no foreign script.
  const found = await page.evaluate(`${AXE}; axe.run(document, { resultTypes: ["violations"] })`);
  const violations = found.violations.map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.map((it) => it.html).join(" ")}`);
  say(part, { axe: name, violations });
  const wide = await page.evaluate(() => document.documentElement.scrollWidth > document.documentElement.clientWidth);
  say(part, { width: name, wide });
}

const play = {
  /// Rows and bars appear and move, and nothing is loaded again.
  async live() {
    const page = await open(home);
    await until(page, "#connection", "live");
    await page.evaluate(() => (window.same = true));
    const task = await call("build_initiate", { project: "engine", crates: 20, millis: 150 });
    await page.waitForSelector(`${row(task)} progress:not([hidden])`);
    const first = await page.$eval(`${row(task)} progress`, (bar) => bar.value);
    await page.waitForFunction(
      (selector, first) => document.querySelector(selector).value > first + 0.2,
      {}, `${row(task)} progress`, first,
    );
    const message = await text(page, `${row(task)} .message`);
    // The focus stays where it is, although the row moves to another part.
    await page.focus(`${row(task)} a`);
    await page.waitForSelector(`${row(task)}[data-status="completed"]`);
    const seen = await page.evaluate((selector) => ({
      same: window.same === true,
      focused: document.activeElement === document.querySelector(`${selector} a`),
      group: document.querySelector(selector).closest("tbody").firstElementChild.textContent,
    }), row(task));
    await page.waitForFunction(() => document.getElementById("announcer").textContent.includes("completed"));
    say("live", { seen, message });
    await close("live", page);
  },

  /// A task's page: timeline, error, log; cancelled by keyboard.
  async task() {
    const retried = await call("deploy_initiate", { service: "web" });
    await finish("deploy", retried);
    const page = await open(`${home}#/tasks/${retried.task_id}`);
    await page.waitForSelector(".attempts > li:nth-child(3)");
    const attempts = await page.$$eval(".attempts > li", (items) => items.map((item) => ({
      end: item.dataset.end,
      steps: [...item.querySelectorAll(".step .name")].map((name) => name.textContent),
      bars: [...item.querySelectorAll(".span")].map((bar) => bar.getBoundingClientRect().width),
    })));
    say("task", { attempts });
    await picture(page, "task-retried");
    await accessible("task", page, "retried");

    const failed = await call("build_initiate", { project: "engine", crates: 4, millis: 20, broken: true });
    await finish("build", failed);
    await page.goto(`${home}#/tasks/${failed.task_id}`);
    await until(page, ".error", "undefined symbol");
    const log = await page.$$eval(".log li", (lines) => lines.length);
    say("task", { error: await text(page, ".error"), log });
    await picture(page, "task-failed");

    const running = await call("build_initiate", { project: "kernel", crates: 400, millis: 100 });
    await page.goto(`${home}#/tasks/${running.task_id}`);
    await until(page, "h1", "build");
    await page.waitForSelector("article progress:not([hidden])");
    await picture(page, "task-running");
    const button = await page.waitForSelector("article button.danger:not([hidden])");
    await button.focus();
    await page.keyboard.press("Enter");
    await page.waitForSelector("dialog[open]");
    await accessible("task", page, "dialog");
    await picture(page, "task-dialog", false);
    await page.keyboard.type("by keyboard");
    await page.keyboard.press("Enter");
    await until(page, "article .badge", "cancelled");
    const focused = await page.evaluate(() => document.activeElement.tagName);
    const told = await call("build_status", { task_id: running.task_id });
    say("task", { cancelled: told.status, reason: told.message, focused, shown: await text(page, "article > .message") });

    const asking = await call("release_initiate", { version: "42" });
    await page.goto(`${home}#/tasks/${asking.task_id}`);
    await until(page, "section ul", "Release 42 to everybody?");
    await until(page, "article .badge", "needs input");
    await close("task", page);
  },

  /// Whatever a task says is text.
  async hostile() {
    const bad = `<img src=x onerror=alert(1)><script>alert(2)</script>"'\`\${alert(3)}</li><a href="javascript:alert(4)">`;
    const ended = await call("echo_initiate", { text: bad });
    await finish("echo", ended);
    const going = await call("echo_initiate", { text: bad, stay: true });
    const page = await open(home);
    await until(page, `${row(going)} .message`, bad);
    await until(page, `${row(ended)} .message`, bad);
    for (const task of [going, ended]) {
      await page.goto(`${home}#/tasks/${task.task_id}`);
      await until(page, ".step .name", bad.slice(0, 20));
      await until(page, ".log", bad);
    }
    const made = await page.$$eval("main img, main script, main a[href^=javascript]", (found) => found.length);
    say("hostile", { made, error: (await text(page, ".error")).includes(bad) });
    await call("echo_cancel", { task_id: going.task_id });
    await close("hostile", page);
  },

  /// Filters are links, and hold for what comes.
  async filter() {
    const page = await open(home);
    await until(page, "#connection", "live");
    await page.waitForFunction(() => [...document.querySelectorAll("#tool option")].some((it) => it.value === "deploy"));
    await page.select("#tool", "deploy");
    await page.select("#status", "ended");
    await page.waitForFunction(() => location.hash.includes("tool=deploy") && location.hash.includes("status=ended"));
    const other = await call("build_initiate", { project: "engine", crates: 1, millis: 1 });
    const task = await call("deploy_initiate", { service: "api" });
    await page.waitForSelector(row(task));
    const tools = await page.$$eval("tr[data-id] .name", (names) => [...new Set(names.map((it) => it.textContent))]);
    say("filter", { tools, other: Boolean(await page.$(row(other))) });
    await page.goBack();
    await page.goBack();
    await page.waitForSelector(row(other));
    await close("filter", page);
  },

  /// Plots, and the same as tables.
  async tools() {
    const tasks = [];
    for (let number = 0; number < 60; number += 1) {
      const millis = Math.round(5 * 1.08 ** (number % 40));
      tasks.push(await call("build_initiate", { project: `p${number}`, crates: 1 + (number % 7), millis, broken: number % 9 === 0 }));
    }
    await Promise.all(tasks.map((task) => finish("build", task)));
    const page = await open(`${home}#/tools`);
    await page.waitForSelector("figure svg");
    // What was computed a moment ago may not have all of them.
    await page.waitForFunction(() => document.querySelectorAll("figure svg circle, figure svg path").length >= 60);
    const seen = await page.evaluate(() => ({
      labels: [...document.querySelectorAll("figure svg")].map((it) => it.getAttribute("aria-label")),
      axes: [...document.querySelectorAll("figure svg text")].map((it) => it.textContent),
      failed: document.querySelectorAll("figure svg path.failed").length,
      rates: [...document.querySelectorAll("table.tools tbody tr")].map((it) => it.textContent),
    }));
    await page.click("figure summary");
    const lines = await page.$$eval("figure details[open] tbody tr", (rows) => rows.length);
    say("tools", { ...seen, lines });
    await accessible("tools", page, "desktop");
    await picture(page, "tools");
    // What was drawn for a wide window is drawn again for a narrow one.
    await page.setViewport({ ...DESKTOP, width: PHONE.width });
    await page.waitForFunction(() => document.querySelector("figure svg").getBoundingClientRect().width < 360);
    await close("tools", page);

    const phone = await open(`${home}#/tools`, { viewport: PHONE });
    await phone.waitForSelector("figure svg");
    await accessible("tools", phone, "phone");
    await picture(phone, "tools-phone");
    await close("tools", phone);
  },

  /// As people see it: on a desk, on a phone, in the dark.
  async looks() {
    const long = await call("build_initiate", { project: "kernel", crates: 3000, millis: 20 });
    await call("release_initiate", { version: "43" });
    const dark = [{ name: "prefers-color-scheme", value: "dark" }, { name: "prefers-reduced-motion", value: "reduce" }];
    for (const [name, options] of [
      ["desktop", {}],
      ["dark", { features: dark }],
      ["phone", { viewport: PHONE }],
      ["phone-dark", { viewport: PHONE, features: dark }],
    ]) {
      const page = await open(home, options);
      await page.waitForSelector(`${row(long)} progress:not([hidden])`);
      await page.waitForSelector('tr[data-status="failed"]');
      await accessible("looks", page, name);
      await picture(page, `list-${name}`, false);
      const colour = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
      say("looks", { colour: name, is: colour });
      await page.goto(`${home}#/tasks/${long.task_id}`);
      await page.waitForSelector(".step");
      await accessible("looks", page, `task-${name}`);
      await picture(page, `task-${name}`);
      await close("looks", page);
    }
    await call("build_cancel", { task_id: long.task_id });
  },

  /// One browser too many looks now and then.
  async streams() {
    const pages = [];
    for (let number = 0; number < 3; number += 1) {
      // Each its own window: a page that is hidden gives its stream back.
      const context = await browser.createBrowserContext();
      const page = await context.newPage();
      await page.goto(home);
      await until(page, "#connection", "live");
      pages.push(page);
    }
    const context = await browser.createBrowserContext();
    const late = await context.newPage();
    await late.goto(home);
    await until(late, "#connection", "every few seconds");
    const task = await call("build_initiate", { project: "late", crates: 1, millis: 1 });
    await late.waitForSelector(row(task));
    say("streams", { seen: true });
    await Promise.all([...pages, late].map((page) => page.browserContext().close()));
  },
};

try {
  for (const part of parts) {
    await play[part]();
  }
} finally {
  await browser.close();
}
