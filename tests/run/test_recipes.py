from modelyard.run import recipes


def test_libraries_that_train_models_are_the_same_as_beside_us() -> None:
    first, _ = recipes.mlserver({"scikit-learn": "1.9.1", "xgboost-cpu": "3.2.0"}).steps
    assert {"scikit-learn==1.9.1", "xgboost-cpu==3.2.0", "lightgbm"} <= set(first)


def test_whatever_could_make_it_differ_makes_another_key() -> None:
    old, new = recipes.mlserver({"scikit-learn": "1.9.0"}), recipes.mlserver({"scikit-learn": "1.9.1"})
    keys = {old.key((3, 11)), new.key((3, 11)), new.key((3, 12)), recipes.triton().key((3, 12))}
    assert len(keys) == 4
    assert new.key((3, 11)) == recipes.mlserver({"scikit-learn": "1.9.1"}).key((3, 11))


def test_what_is_promised_has_its_module() -> None:
    recipe = recipes.mlserver({})
    modules = {recipes.MLSERVER_MODULES[it] for it in recipe.capabilities if it in recipes.MLSERVER_MODULES}
    assert modules <= set(recipe.modules)
    assert recipes.mlserver({}).fits((3, 12))
    assert not recipes.mlserver({}).fits((3, 13))
