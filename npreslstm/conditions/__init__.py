"""Recording conditions: what microphones, rooms, lines and codecs do to a voice. Training draws them,
evaluation tabulates them.
"""
