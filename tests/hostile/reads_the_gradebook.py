"""tries: opens the gradebook, and gives itself all points
earns: 0
says: unable to open database file
"""

import sqlite3

database = sqlite3.connect("file:@COURSE@/gradebook.db?mode=rw", uri=True)
database.execute("UPDATE grade SET auto_score = 20")
database.commit()
