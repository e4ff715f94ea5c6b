/* synthetic - a model of random numbers, to try what needs size (see synthetic.h):
 *     synthetic CONFIG.json FOLDER            a model
 *     synthetic CONFIG.json FOLDER RANK       an adapter for it */
#include "tests/synthetic.h"

int main(int argc, char **argv)
{
    rs_err err = {0};
    rs_buf json = {0};
    if (argc < 3) {
        fprintf(stderr, "usage: synthetic CONFIG.json FOLDER [RANK]\n");
        return 2;
    }
    rs_status s = rs_os_read_file(argv[1], 1 << 20, &json, &err);
    if (s == RS_OK)
        s = argc > 3 ? synthetic_adapter(argv[2], json.data, atoi(argv[3]), &err)
                     : synthetic_model(argv[2], json.data, &err);
    rs_buf_free(&json);
    if (s != RS_OK) fprintf(stderr, "%s\n", err.msg);
    return s == RS_OK ? 0 : 1;
}
