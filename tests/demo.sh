# shellcheck shell=sh
# own_demo PROGRAM FOLDER: a copy of the program in FOLDER beside recipes/ of the tests' own, so
# that what it opens first needs nothing to be made. Prints its path.
# tests: the folder of this file.
own_demo() {
    mkdir -p "$2" && cp "$1" "$2/ringside" && ln -sfn "$tests/golden/demo" "$2/recipes" &&
        echo "$2/ringside"
}
