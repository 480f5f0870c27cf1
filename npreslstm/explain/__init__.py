"""One clip, explained: every number between its sound and its label, as a page, as text, as a picture.

`frames` and `hearing` compute the numbers, `page` puts them and the files of the folder page/ into one HTML,
`text` and `picture` draw them for terminals and print, `tags` finds the lines of code that compute them.
"""
