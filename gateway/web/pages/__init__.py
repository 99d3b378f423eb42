"""What people see in a browser: screens of ``gateway.services`` as HTML.

Rules: every text is escaped by jinja2's autoescape, nothing is scripted, nothing is fetched, and a
page may neither be framed nor cached. Each sentence stands in Vietnamese and in English.
"""
