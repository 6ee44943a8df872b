"""What every page of the console gets from the site.

Belongs here: middleware and views around pages: compression, the content security policy, and what is shown
when something fails.
Does not belong here: the theme (`ccproxy_site.theme`), and pages themselves (`gateway.admin`).
"""
