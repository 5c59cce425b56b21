#!/usr/bin/env python3
"""Draws, drags, pins and drops a file on the page of `chorus playground` in a headless Chromium, and takes screenshots.

    pip install playwright
    tools/try_playground.py PAGE.html --browser /usr/bin/chromium --pictures FOLDER

It fails where the page does not do what the reader did, or writes an error to the console.
"""
import argparse
import pathlib

from playwright.sync_api import sync_playwright

SIZES = {"wide": (1280, 860), "narrow": (390, 844)}


class Page:
    """The page, and what is read out of it."""

    def __init__(self, browser, address, size, scheme):
        narrow = size[0] < 600
        context = browser.new_context(
            viewport=dict(zip(("width", "height"), size)), color_scheme=scheme, has_touch=narrow, is_mobile=narrow)
        self.errors = []
        self.page = context.new_page()
        self.page.set_default_timeout(300_000)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", lambda message: message.type == "error" and self.errors.append(message.text))
        self.page.on("request", lambda r: r.url.startswith("http") and self.errors.append(f"asked for {r.url}"))
        self.page.goto(address)
        self.settle()

    def settle(self):
        self.page.wait_for_function("answer && !busy && !waiting && answer.count >= 512 && answer.sheet === state.sheet")
        self.page.wait_for_timeout(100)

    def js(self, text, *more):
        return self.page.evaluate(text, *more)

    def at(self, x, y):
        return self.js(
            """([x, y]) => { const box = document.getElementById("chart").getBoundingClientRect();
               return [box.left + chart.px(x), box.top + chart.py(y)]; }""", [x, y])

    @property
    def points(self):
        return self.js("state.sheet.points")

    @property
    def first_path(self):
        return self.js("answer.values[0]")


def check(what, holds):
    print(("ok   " if holds else "FAIL ") + what)
    if not holds:
        raise SystemExit(1)


def use(page):
    """What a reader does with mouse and keys."""
    mouse, keys = page.page.mouse, page.page.keyboard
    before, path = page.points, page.first_path
    mouse.click(*page.at(9.4, 0.4))
    page.settle()
    check("a click adds a point", len(page.points) == len(before) + 1)
    added = page.first_path
    check("the paths change with it", added != path)

    place = page.at(before[2]["x"], before[2]["y"])
    mouse.move(*place)
    mouse.down()
    for step in range(1, 7):
        mouse.move(place[0] + 4 * step, place[1] + 9 * step)
    mouse.up()
    page.settle()
    check("a point is dragged", page.points[2]["y"] < before[2]["y"] - 0.2)
    check("and the paths follow", page.first_path != added)
    page.page.click("#undo")
    page.settle()
    check("undone, the same seed gives the same paths", page.first_path == added)

    page.page.check("input[name=mode][value=pin]", force=True)
    mouse.click(*page.at(5.0, 0.9))
    page.settle()
    pin = page.points[-1]
    check("a value is pinned", pin["pin"])
    keys.press("ArrowUp")
    keys.press("Shift+ArrowRight")
    page.page.wait_for_timeout(500)
    page.settle()
    check("arrow keys move it", page.points[-1]["x"] > pin["x"] and page.points[-1]["y"] > pin["y"])
    keys.press("Delete")
    page.settle()
    check("Delete removes it", not any(point["pin"] for point in page.points))

    for name in ("sum", "max", "below"):
        page.page.select_option("#functional", name)
        check(f"{name} is told in words", "Independent values would claim" in page.page.inner_text("#finding"))
    level = page.js("state.threshold")
    page.page.locator(".grip").focus()
    keys.press("ArrowUp")
    check("the threshold is a slider", page.js("state.threshold") > level)
    page.page.select_option("#plan", "independent")
    page.settle()
    check("one call draws all values of the plan 'independent'", "1 call" in page.page.inner_text("#plan-words"))
    page.page.select_option("#plan", "sequential")
    page.page.check("input[name=points][value='1']", force=True)
    page.settle()
    check("the model for noisy points answers", page.js("answer.message.model") == "gp-noisy")
    page.page.wait_for_timeout(1200)
    check("what changed is said", "points" in page.page.inner_text("#live"))

    page.page.set_input_files("#file", files=[{
        "name": "levels.csv", "mimeType": "text/csv",
        "buffer": b"day,level\n" + b"".join(b"2024-%02d-01,%d.5\n" % (m, 10 + m % 5) for m in range(1, 13))}])
    page.page.wait_for_function("state.sheet.isDate")
    page.settle()
    check("a file is read", len(page.points) == 12)
    page.page.set_input_files("#file", files=[{"name": "words.csv", "mimeType": "text/csv", "buffer": b"a,b\nx,y\n"}])
    page.page.wait_for_function("document.getElementById('trouble').textContent.includes('holds numbers')")
    check("a file without numbers is refused with words", page.page.is_visible("#trouble"))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("page")
    parser.add_argument("--browser", default="/usr/bin/chromium")
    parser.add_argument("--pictures", type=pathlib.Path, help="a folder for screenshots")
    options = parser.parse_args()
    address = pathlib.Path(options.page).resolve().as_uri()
    with sync_playwright() as tools:
        browser = tools.chromium.launch(executable_path=options.browser, args=["--no-sandbox"])
        for name, size in SIZES.items():
            for scheme in ("light", "dark"):
                page = Page(browser, address, size, scheme)
                check(f"{name}, {scheme}: nothing runs out of the page's width",
                      page.js("document.documentElement.scrollWidth <= innerWidth"))
                if options.pictures:
                    options.pictures.mkdir(parents=True, exist_ok=True)
                    page.page.screenshot(path=str(options.pictures / f"{name}-{scheme}.png"), full_page=True)
                if (name, scheme) == ("narrow", "light"):
                    count = len(page.points)
                    page.page.touchscreen.tap(*page.at(5, 1))
                    page.settle()
                    check("a tap adds a point", len(page.points) == count + 1)
                if (name, scheme) == ("wide", "light"):
                    print(page.page.inner_text("#timing"))
                    use(page)
                check("no error and no request", not page.errors or print(page.errors))
        browser.close()


main()
