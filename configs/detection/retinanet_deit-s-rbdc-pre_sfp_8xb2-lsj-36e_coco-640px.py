"""RetinaNet on COCO from a DeiT-S grown on ImageNet-1k by one step of RBDC.

Differs from retinanet_deit-s-random_sfp_8xb2-lsj-36e_coco-640px.py in the backbone's weights only;
the recipe is there.

Backbone: work_dirs/deit-s_1step_in1k/deit-s_1step_in1k.pth, made by
    tools/dist_train.sh configs/rbdc/deit-s_1step_in1k.py 8
Expected: box AP above those of retinanet_deit-s-scratch-pre_sfp_8xb2-lsj-36e_coco-640px.py. Not
run yet.
Hardware: planned for 8 GPUs with 2 images each; time not measured yet.

    tools/dist_train.sh configs/detection/retinanet_deit-s-rbdc-pre_sfp_8xb2-lsj-36e_coco-640px.py 8 --amp
"""

_base_ = "./retinanet_deit-s-random_sfp_8xb2-lsj-36e_coco-640px.py"
model = dict(
    backbone=dict(
        init_cfg=dict(
            _delete_=True,
            type="mmrbdc.Transferred",
            checkpoint="work_dirs/deit-s_1step_in1k/deit-s_1step_in1k.pth",
            made_by="configs/rbdc/deit-s_1step_in1k.py",
        )
    )
)
