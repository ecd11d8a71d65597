"""The live map and the JavaScript client in a real browser (Chromium, driven by Playwright)."""
