"""WHAT THE SHOP IS: store.yaml -> Store (`load`), its tables -> Shop (`open_store`).

In the data's order: schema, load, sources, columns, entities, events, samples, split, open.
"""
