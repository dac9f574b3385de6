"""Opens the report's page in headless Chromium: does it show, run, stay silent, and ask for nothing?

    browser_check.py PROGRAM      PROGRAM ENCODER DECODER writes two pages

Exit code 77 where there is no browser, with the reason: ctest counts that as skipped.
"""
import json
import pathlib
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import zlib

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chromium-headless-shell")
# Where Chromium calls home by itself, whatever page it shows.
BROWSERS_OWN = r"https?://([a-z0-9-]+[.])*(google[.]com|googleapis[.]com|gvt1[.]com|gstatic[.]com)/"


def find_browser():
    for name in BROWSERS:
        path = shutil.which(name)
        if path:
            return path
    print(f"skipped: none of {', '.join(BROWSERS)} is installed (scripts/install_dependencies.sh ci)")
    sys.exit(77)


def pixels(path):
    """Width, height and rows of (red, green, blue, …) bytes of an 8-bit PNG without interlacing."""
    data = pathlib.Path(path).read_bytes()
    width, height, depth, kind = struct.unpack(">IIBB", data[16:26])
    assert depth == 8 and kind in (2, 6), f"{path}: not an RGB picture"
    step = 3 if kind == 2 else 4
    at, packed = 8, b""
    while at < len(data):
        length, = struct.unpack(">I", data[at:at + 4])
        if data[at + 4:at + 8] == b"IDAT":
            packed += data[at + 8:at + 8 + length]
        at += 12 + length
    raw = zlib.decompress(packed)
    rows, above = [], bytearray(width * step)
    for r in range(height):
        begin = r * (width * step + 1)
        mode, line = raw[begin], bytearray(raw[begin + 1:begin + 1 + width * step])
        if mode == 1:
            for i in range(step, len(line)):
                line[i] = (line[i] + line[i - step]) & 255
        elif mode == 2:
            for i in range(len(line)):
                line[i] = (line[i] + above[i]) & 255
        elif mode == 3:
            for i in range(len(line)):
                left = line[i - step] if i >= step else 0
                line[i] = (line[i] + (left + above[i]) // 2) & 255
        elif mode == 4:
            for i in range(len(line)):
                a, b = (line[i - step], above[i - step]) if i >= step else (0, 0)
                guess = a + above[i] - b
                near = min((abs(guess - v), n, v) for n, v in enumerate((a, above[i], b)))
                line[i] = (line[i] + near[2]) & 255
        rows.append(line)
        above = line
    return width, height, step, rows


def colors_of(path):
    _, _, step, rows = pixels(path)
    counts = {}
    for row in rows[::3]:
        for i in range(0, len(row), 3 * step):
            color = bytes(row[i:i + 3])
            counts[color] = counts.get(color, 0) + 1
    return counts


class Browser:
    def __init__(self, program, folder):
        self.program, self.folder, self.runs = program, folder, 0

    def run(self, page, *options):
        """stdout and what the page's console said."""
        self.runs += 1
        command = [self.program, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                   "--hide-scrollbars", "--no-first-run", "--disable-extensions", "--disable-background-networking",
                   "--disable-component-update", "--enable-logging=stderr",
                   f"--user-data-dir={self.folder}/profile", f"--log-net-log={self.folder}/net-{self.runs}.json",
                   *options, page.as_uri()]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120,
                              check=False)
        assert done.returncode == 0, f"the browser ended with {done.returncode}:\n{done.stderr}"
        return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]

    def addresses(self):
        """Every address that was asked for over the network, of all runs."""
        found = set()
        for path in self.folder.glob("net-*.json"):
            text = path.read_text(errors="replace")
            found.update(re.findall(r'"url":"((?:https?|wss?|ftp)://[^"]*)"', text))
        return found

    def screenshot(self, page, name, width, height, *options):
        path = self.folder / name
        _, console = self.run(page, f"--screenshot={path}", f"--window-size={width},{height}", *options)
        assert not console, f"{name}: the console says {console}"
        return path


# Runs in the page after its own script: what a reader would do, and what it led to.
PROBE = """<script>
const heading = document.querySelector("table.layers th:nth-child(2) button");
const names = () => [...document.querySelectorAll("table.layers tbody th")].map((cell) => cell.textContent);
const before = names();
heading.click();
heading.click();
const box = document.documentElement;
document.title = JSON.stringify({
  sortable: heading !== null, rows: before.length, same: before.length === names().length,
  order: heading.parentElement.getAttribute("aria-sort"),
  wide: box.scrollWidth > box.clientWidth,
  hidden: [...document.querySelectorAll("svg.map")].filter((map) => map.getBoundingClientRect().width === 0
    ? map.closest("details:not([open])") === null : false).length,
});
</script></body>"""


# What each page shows of its whole model.
SECTIONS = {"encoder": ("The whole model", "Quality: rank correlation"),
            "decoder": ("Decode: 16 tokens after the prompt", "Prefill: a prompt of 512 tokens",
                        "Quality: perplexity")}


def check(browser, page):
    dom, console = browser.run(page, "--dump-dom")
    assert not console, f"the console says {console}"
    assert "<title>CROSS report: all-MiniLM-L6-v2</title>" in dom, "the page has another title: did a name run?"
    assert dom.count('<button type="button">') > 3, "the page's script did not run: does its hash fit the policy?"
    assert "<img" not in dom, "a layer's name became an element"
    for heading in SECTIONS[page.stem]:
        assert heading in dom, f"{page.stem}: nothing says {heading}"

    # As a reader: sorts a table, at a phone's width. Only the copy allows scripts beside the page's own.
    text = page.read_text(encoding="utf-8")
    copy = page.with_name("probed.html")
    copy.write_text(re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", text).replace("</body>", PROBE),
                    encoding="utf-8")
    dom, console = browser.run(copy, "--dump-dom", "--window-size=390,844")
    assert not console, f"the console says {console}"
    seen = json.loads(re.search(r"<title>(.*?)</title>", dom, re.S).group(1))
    assert seen == {"sortable": True, "rows": 3, "same": True, "order": "descending", "wide": False, "hidden": 0}, seen

    light = colors_of(browser.screenshot(page, "light.png", 1280, 4000, "--blink-settings=preferredColorScheme=1"))
    dark = colors_of(browser.screenshot(page, "dark.png", 1280, 4000, "--blink-settings=preferredColorScheme=0"))
    phone = colors_of(browser.screenshot(page, "phone.png", 390, 2400, "--blink-settings=preferredColorScheme=1"))
    copy.write_text(re.sub(r"<script>.*</script>", "", text, flags=re.S), encoding="utf-8")
    still = colors_of(browser.screenshot(copy, "still.png", 1280, 4000, "--blink-settings=preferredColorScheme=1"))
    for name, colors, most in (("light", light, b"\xff\xff\xff"), ("dark", dark, b"\x0d\x11\x17"),
                               ("phone", phone, b"\xff\xff\xff"), ("without scripts", still, b"\xff\xff\xff")):
        assert max(colors, key=colors.get) == most, f"{name}: the page's colour is {max(colors, key=colors.get).hex()}"
        assert len(colors) > 100, f"{name}: {len(colors)} colours: is the page blank?"
        # The darkest and lightest blocks of the heat maps; a phone shows several blocks in one pixel.
        for needed in (b"\x26\x16\x52", b"\xfc\xf3\xb2"):
            assert name == "phone" or needed in colors, f"{name}: no pixel is {needed.hex()}"

    asked = {address for address in browser.addresses() if not re.match(BROWSERS_OWN, address)}
    assert not asked, f"the page asked for {asked}"


def main():
    program = find_browser()
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        pages = [folder / "encoder.html", folder / "decoder.html"]
        subprocess.run([sys.argv[1], *pages], check=True)
        browser = Browser(program, folder)
        for page in pages:
            check(browser, page)
    print(f"both reports show in {program}: light, dark, on a phone, without scripts; nothing was asked for")


if __name__ == "__main__":
    main()
