"""Pages for people: a shopping guide for the store's users. One process of its own that knows the service by its HTTP interface alone.

- `guide`: the pages. `frame`: what surrounds each of them. `cards`: an item as people see it. `arrival`: who asks, in which words.
- `gateway`: the service, asked with a small memory. `looks`: which columns are a title, a picture, a price. `words`: English and Chinese.
"""
